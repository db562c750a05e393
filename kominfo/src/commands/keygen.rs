//! `kominfo keygen`: the key that receipts are signed with.

use std::path::PathBuf;

use clap::Args;
use ledger::Cosigner;
use rand_core::OsRng;

use super::shown;
use crate::files::{self, Access};

#[derive(Debug, Args)]
pub(super) struct Keygen {
    /// Name of the key, as checkpoints will carry it: kominfo.parkir.example.id
    #[arg(long)]
    name: String,
    /// Folder for kominfo.key (private) and kominfo.vkey (for the boxes and for anyone)
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Keygen {
    pub(super) fn run(self) -> anyhow::Result<()> {
        files::folder(&self.out)?;
        let cosigner = Cosigner::generate(&self.name, &mut OsRng)?;
        let (key, vkey) = (self.out.join("kominfo.key"), self.out.join("kominfo.vkey"));
        files::create(&key, &format!("{}\n", cosigner.to_text()), Access::Private)?;
        files::create(&vkey, &format!("{}\n", cosigner.verifier().to_vkey()), Access::Public)?;
        tell!("{}", shown(&key));
        tell!("{}", shown(&vkey));
        eprintln!("Keep the first one secret: whoever has it can give receipts in the city's name.");
        eprintln!("Give the second one to every box (`kominfo_vkey`).");
        Ok(())
    }
}
