//! Timetables: at this second this comes in, and that is done.

use super::*;

fn id(number: u8) -> StreamId {
    StreamId::from_bytes([number; 16])
}

fn ask(number: u8, offer: bool) -> Effect {
    Effect::Ask { id: id(number), offer }
}

/// A stream, and the number of its next identifier.
struct Table {
    stream: Stream,
    begin: Instant,
    fresh: u8,
}

impl Table {
    fn new() -> Self {
        let begin = Instant::now();
        Self {
            stream: Stream::new(begin),
            begin,
            fresh: 1,
        }
    }

    fn at(&mut self, second: u64, input: Input) -> Vec<Effect> {
        let fresh = &mut self.fresh;
        self.stream.step(self.begin + Duration::from_secs(second), input, || {
            *fresh += 1;
            id(*fresh - 1)
        })
    }

    /// The second at which it wants to be woken.
    fn due(&self) -> Option<u64> {
        let deadline = self.stream.deadline()?;
        Some(deadline.saturating_duration_since(self.begin).as_secs())
    }

    /// One that is being sent under the first identifier since second 1.
    fn sending() -> Self {
        let mut table = Self::new();
        table.at(0, Input::Viewers(1));
        table.at(0, Input::Sent(true));
        table.at(1, Input::Dialled(id(1)));
        table
    }
}

#[test]
fn the_first_viewer_makes_the_box_be_asked_and_further_ones_do_not() {
    let mut table = Table::new();
    let effects = table.at(0, Input::Viewers(1));
    assert_eq!(effects, [Effect::Tell(Link::Calling), ask(1, true)]);
    assert_eq!(table.at(0, Input::Sent(true)), []);
    assert_eq!(table.at(1, Input::Viewers(2)), []);
    assert_eq!(table.at(2, Input::Dialled(id(1))), []);
    assert_eq!(table.at(3, Input::Viewers(3)), []);
    assert_eq!(table.due(), Some(60));
}

#[test]
fn a_box_that_does_not_dial_is_asked_again_under_the_same_identifier_and_viewers_are_told() {
    let mut table = Table::new();
    table.at(0, Input::Viewers(1));
    table.at(0, Input::Sent(true));
    assert_eq!(table.due(), Some(4));
    assert_eq!(table.at(4, Input::Wake), [ask(1, false)]);
    table.at(4, Input::Sent(true));
    assert_eq!(table.due(), Some(10));
    assert_eq!(table.at(10, Input::Wake), [Effect::Tell(Link::Silent)]);
    for second in [12, 28, 58, 88] {
        assert_eq!(table.due(), Some(second));
        assert_eq!(table.at(second, Input::Wake), [ask(1, false)], "{second}");
        table.at(second, Input::Sent(true));
    }
}

#[test]
fn a_stream_is_prolonged_at_half_of_its_time_as_long_as_somebody_watches() {
    let mut table = Table::sending();
    for second in [60, 120, 180] {
        assert_eq!(table.due(), Some(second));
        assert_eq!(table.at(second - 1, Input::Wake), []);
        assert_eq!(table.at(second, Input::Wake), [ask(1, false)]);
        assert_eq!(table.at(second, Input::Sent(true)), []);
    }
}

#[test]
fn a_stream_that_cannot_be_prolonged_is_closed_when_its_time_is_over() {
    let mut table = Table::sending();
    for second in (60..120).step_by(5) {
        assert_eq!(table.at(second, Input::Wake), [ask(1, false)], "{second}");
        table.at(second, Input::Sent(false));
    }
    assert_eq!(table.due(), Some(120));
    assert_eq!(
        table.at(120, Input::Wake),
        [
            Effect::Stop(id(1)),
            Effect::Close(Close::TimeOver),
            Effect::Tell(Link::Lost)
        ]
    );
    assert_eq!(table.at(120, Input::Left(id(1), None)), [], "it was closed here");
    assert_eq!(table.at(121, Input::Wake), [Effect::Tell(Link::Calling), ask(2, true)]);
}

#[test]
fn a_connection_that_breaks_is_asked_for_under_a_new_identifier_ever_more_slowly() {
    let mut table = Table::sending();
    let mut second = 1;
    for (number, pause) in [1, 2, 4, 8, 15, 15].into_iter().enumerate() {
        let number = u8::try_from(number).unwrap() + 1;
        let left = Input::Left(id(number), None);
        assert_eq!(table.at(second, left), [Effect::Tell(Link::Lost)]);
        second += pause;
        assert_eq!(table.due(), Some(second));
        let effects = table.at(second, Input::Wake);
        assert_eq!(effects, [Effect::Tell(Link::Calling), ask(number + 1, true)]);
        table.at(second, Input::Sent(true));
        table.at(second, Input::Dialled(id(number + 1)));
    }
    // One that lasted makes the next pause short again.
    table.at(second + 10, Input::Left(id(7), None));
    assert_eq!(table.due(), Some(second + 11));
}

#[test]
fn a_box_that_says_no_is_left_alone_for_a_while() {
    let mut table = Table::sending();
    let effects = table.at(2, Input::Left(id(1), Some("busy".to_owned())));
    assert_eq!(effects, [Effect::Tell(Link::Refused("busy".to_owned()))]);
    assert_eq!(table.due(), Some(17));
}

#[test]
fn a_box_that_only_restarts_is_asked_again_at_once() {
    for word in ["time_over", "box_stopping", "too_slow"] {
        let mut table = Table::sending();
        let effects = table.at(2, Input::Left(id(1), Some(word.to_owned())));
        assert_eq!(effects, [Effect::Tell(Link::Refused(word.to_owned()))]);
        assert_eq!(table.due(), Some(3));
    }
}

#[test]
fn nobody_watching_for_five_seconds_stops_the_stream() {
    let mut table = Table::sending();
    assert_eq!(table.at(10, Input::Viewers(0)), []);
    assert_eq!(table.due(), Some(15));
    assert_eq!(table.at(14, Input::Viewers(1)), []);
    assert_eq!(table.at(15, Input::Wake), []);
    table.at(20, Input::Viewers(0));
    assert_eq!(
        table.at(25, Input::Wake),
        [Effect::Stop(id(1)), Effect::Close(Close::NobodyWatches), Effect::Over]
    );
    // Somebody came in the last moment: it begins anew.
    assert_eq!(
        table.at(25, Input::Viewers(1)),
        [Effect::Tell(Link::Calling), ask(2, true)]
    );
}

#[test]
fn a_box_that_nobody_waits_for_any_more_is_told_so() {
    let mut table = Table::new();
    table.at(0, Input::Viewers(1));
    table.at(0, Input::Sent(true));
    table.at(1, Input::Viewers(0));
    table.at(4, Input::Wake);
    assert_eq!(table.at(6, Input::Wake), [Effect::Stop(id(1)), Effect::Over]);
}

#[test]
fn while_the_broker_is_away_viewers_know_it_and_the_time_for_dialling_begins_afterwards() {
    let mut table = Table::new();
    table.at(0, Input::Viewers(1));
    assert_eq!(table.at(0, Input::Sent(false)), [Effect::Tell(Link::Broker)]);
    for second in (2..20).step_by(2) {
        assert_eq!(table.due(), Some(second));
        assert_eq!(table.at(second, Input::Wake), [ask(1, false)]);
        assert_eq!(table.at(second, Input::Sent(false)), []);
    }
    table.at(20, Input::Wake);
    assert_eq!(table.at(20, Input::Sent(true)), [Effect::Tell(Link::Calling)]);
    assert_eq!(table.at(24, Input::Wake), [ask(1, false)]);
    assert_eq!(table.at(29, Input::Wake), []);
    assert_eq!(table.at(30, Input::Wake), [Effect::Tell(Link::Silent)]);
}

#[test]
fn a_box_that_dials_with_an_identifier_that_was_given_up_is_sent_away() {
    let mut table = Table::new();
    table.at(0, Input::Viewers(1));
    table.at(1, Input::Viewers(0));
    table.at(6, Input::Wake);
    table.at(6, Input::Viewers(1));
    let effects = table.at(6, Input::Dialled(id(1)));
    assert_eq!(effects, [Effect::Close(Close::NobodyWatches)]);
    assert_eq!(table.at(7, Input::Dialled(id(2))), []);
    assert_eq!(table.at(8, Input::Left(id(2), None)), [Effect::Tell(Link::Lost)]);
}
