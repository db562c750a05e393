//! `kominfo keygen`: the keys that receipts and commands are signed with.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use clap::Args;
use ledger::{Cosigner, TextSigner};
use rand_core::OsRng;

use super::shown;
use crate::files::{self, Access};

#[derive(Debug, Args)]
pub(super) struct Keygen {
    /// Name of the key, as checkpoints will carry it: kominfo.parkir.example.id
    #[arg(long)]
    name: String,
    /// Folder for kominfo.key and command.key (private), kominfo.vkey and command.vkey (for the boxes and for anyone)
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Make only the key for commands, beside a key for receipts that is there already
    #[arg(long)]
    commands: bool,
}

impl Keygen {
    pub(super) fn run(self) -> anyhow::Result<()> {
        files::folder(&self.out)?;
        if !self.commands {
            // Nothing is made unless all can be.
            let command = self.out.join("command.key");
            ensure!(!command.exists(), files::FileError::Exists(command));
            let cosigner = Cosigner::generate(&self.name, &mut OsRng)?;
            let vkey = cosigner.verifier().to_vkey();
            save(&self.out, "kominfo", &cosigner.to_text(), &vkey)?;
        }
        let signer = TextSigner::generate(&format!("{}/command", self.name), &mut OsRng)?;
        save(&self.out, "command", &signer.to_text(), &signer.verifier().to_vkey())?;
        if !self.commands {
            eprintln!("Keep kominfo.key secret: whoever has it can give receipts in the city's name.");
            eprintln!("Give kominfo.vkey to every box (`kominfo_vkey`).");
        }
        eprintln!("Keep command.key secret: whoever has it can make boxes send what their cameras see.");
        eprintln!("Give command.vkey to every box whose cameras the portal may show (`command_vkey`).");
        Ok(())
    }
}

fn save(folder: &Path, name: &str, key: &str, vkey: &str) -> anyhow::Result<()> {
    let (key_path, vkey_path) = (folder.join(format!("{name}.key")), folder.join(format!("{name}.vkey")));
    files::create(&key_path, &format!("{key}\n"), Access::Private)?;
    files::create(&vkey_path, &format!("{vkey}\n"), Access::Public)?;
    tell!("{}", shown(&key_path));
    tell!("{}", shown(&vkey_path));
    Ok(())
}
