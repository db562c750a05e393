//! Pictures of all cameras, by one worker: the only place where video is decoded, and slow on a small box, so that it
//! is done for one keyframe at a time.
//!
//! Who asks waits in a bounded queue. A worker that has nothing to do for some seconds is ended, for its memory. One
//! that does not answer in time is killed, and the picture is told to have failed; the next request starts another
//! worker, after a pause if that goes on.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::picture::Features;
use super::ring::VideoCodec;
use super::ring::picture::KeySample;
use super::wire::{self, Command, Event, FromWorker, PictureHead};
use super::worker::{Program, Worker};

/// Requests that wait. Full: the request fails at once.
const WAITING_MAX: usize = 32;
/// How long a picture may take.
const PICTURE_TIMEOUT: Duration = Duration::from_secs(8);
/// A worker without work for so long is ended: it holds 12 MB, and another is there in a fraction of a second.
const IDLE_MAX: Duration = Duration::from_secs(5);
/// Pause after a worker that failed.
const PAUSE: Duration = Duration::from_secs(2);

/// A decoded, masked picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// What was measured.
    pub features: Box<Features>,
    /// JPEG; empty if none was asked for.
    pub jpeg: Vec<u8>,
}

/// Why there is no picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// Too many wait already.
    #[error("too many pictures are being made; try again in some seconds")]
    Busy,
    /// The decoder refused it, or did not answer.
    #[error("the picture cannot be decoded: {0}")]
    Failed(String),
}

struct Request {
    camera: u16,
    sample: KeySample,
    jpeg_width: u16,
    answer: oneshot::Sender<Result<Made, PictureError>>,
}

/// The way to ask for pictures. Clones share the worker.
#[derive(Debug, Clone)]
pub struct Pictures(mpsc::Sender<Request>);

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("camera", &self.camera)
            .finish_non_exhaustive()
    }
}

/// Polygons that hide a part of the picture.
pub type Polygons = Vec<Vec<[f64; 2]>>;

/// The task behind [`Pictures`].
pub struct PictureMaker {
    program: Program,
    masks: Vec<Polygons>,
    requests: mpsc::Receiver<Request>,
    next: u64,
}

impl Pictures {
    /// A maker of pictures with the masks of all cameras, by their place in the configuration.
    pub fn new(program: Program, masks: Vec<Polygons>) -> (Self, PictureMaker) {
        let (sender, requests) = mpsc::channel(WAITING_MAX);
        let maker = PictureMaker {
            program,
            masks,
            requests,
            next: 0,
        };
        (Self(sender), maker)
    }

    /// Decodes a keyframe of the camera at `camera` in the configuration. A `jpeg_width` of 0 asks for features only.
    pub async fn make(&self, camera: u16, sample: KeySample, jpeg_width: u16) -> Result<Made, PictureError> {
        let (answer, made) = oneshot::channel();
        let request = Request {
            camera,
            sample,
            jpeg_width,
            answer,
        };
        self.0.try_send(request).map_err(|_| PictureError::Busy)?;
        made.await
            .unwrap_or_else(|_| Err(PictureError::Failed("the gateway is stopping".to_owned())))
    }
}

impl PictureMaker {
    /// Makes pictures until cancelled.
    pub async fn run(mut self, cancel: CancellationToken) {
        let mut worker: Option<Worker> = None;
        loop {
            let request = tokio::select! {
                request = self.requests.recv() => request,
                () = tokio::time::sleep(IDLE_MAX), if worker.is_some() => {
                    if let Some(worker) = worker.take() {
                        worker.end().await;
                    }
                    continue;
                }
                () = cancel.cancelled() => None,
            };
            let Some(request) = request else { break };
            let made = self.make(&mut worker, &request).await;
            if made.is_err() && worker.is_none() {
                tokio::time::sleep(PAUSE).await;
            }
            request.answer.send(made).ok();
        }
        if let Some(worker) = worker {
            worker.kill().await;
        }
    }

    async fn make(&mut self, worker: &mut Option<Worker>, request: &Request) -> Result<Made, PictureError> {
        self.next += 1;
        let until = Instant::now() + PICTURE_TIMEOUT;
        let made = tokio::time::timeout_at(until, self.try_make(worker, request)).await;
        match made {
            Ok(Ok(made)) => made,
            Ok(Err(error)) => {
                self.end(worker).await;
                Err(PictureError::Failed(format!("its worker failed: {error}")))
            }
            Err(_) => {
                self.end(worker).await;
                Err(PictureError::Failed("its worker did not answer".to_owned()))
            }
        }
    }

    async fn end(&self, worker: &mut Option<Worker>) {
        if let Some(worker) = worker.take() {
            tracing::warn!("the worker for pictures was ended; the next picture starts another");
            worker.kill().await;
        }
    }

    /// The outer error ends the worker.
    async fn try_make(
        &mut self,
        worker: &mut Option<Worker>,
        request: &Request,
    ) -> std::io::Result<Result<Made, PictureError>> {
        if worker.is_none() {
            let mut started = self.program.start("pictures", "pictures")?;
            for (camera, polygons) in self.masks.iter().enumerate() {
                let masks = Command::Masks {
                    camera: u16::try_from(camera).unwrap_or(u16::MAX),
                    polygons: polygons.clone(),
                };
                started.send(&wire::command_frame(&masks)?).await?;
            }
            *worker = Some(started);
        }
        let Some(worker) = worker else {
            return Err(std::io::ErrorKind::NotConnected.into());
        };
        let head = PictureHead {
            request: self.next,
            camera: request.camera,
            h265: request.sample.video == VideoCodec::H265,
            jpeg_width: request.jpeg_width,
            config_bytes: 0,
        };
        let frame = wire::picture_request_frame(head, &request.sample.codec_config, &request.sample.access_unit)?;
        worker.send(&frame).await?;
        loop {
            let frame = worker.next().await?;
            match FromWorker::read(&frame).map_err(std::io::Error::other)? {
                FromWorker::Picture(number, features, jpeg) if number == self.next => {
                    let features = serde_json::from_slice(features).map_err(std::io::Error::other)?;
                    let jpeg = jpeg.to_vec();
                    return Ok(Ok(Made { features, jpeg }));
                }
                FromWorker::Event(Event::PictureFailed { request, message }) if request == self.next => {
                    return Ok(Err(PictureError::Failed(message)));
                }
                // Of an earlier request, which was given up, or the greeting.
                _ => {}
            }
        }
    }
}

/// Masks as the worker wants them, by place in the configuration.
pub fn masks(cameras: &[crate::config::Camera]) -> Vec<Polygons> {
    cameras.iter().map(|camera| camera.masks.clone()).collect()
}
