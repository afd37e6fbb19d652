//! `doorward trust` and `untrust`: the local authority's root into the machine's stores, and out of them. Every command
//! is shown before it runs; nothing is done without a yes.

use std::fmt::Write as _;
use std::io::{self, BufRead, IsTerminal, Write as _};
use std::path::{Path, PathBuf};

use x509_parser::pem::parse_x509_pem;

use self::execute::StepError;
use self::inspect::{Machine, Person};
use self::plan::{Plan, Root, Step, TrustRequest};
use super::args::TrustArgs;
use super::exit::Exit;
use super::output;

use crate::base::hex;

pub mod execute;
pub mod inspect;
pub mod instructions;
pub mod plan;

/// Why nothing was done, or not everything.
#[derive(Debug, thiserror::Error)]
enum TrustError {
    #[error(
        "there is no local authority in {} yet; it is made when doorward first serves localhost or a private name, so start \
         `doorward demo` once, or name another folder with `--state PATH`",
        state.display()
    )]
    NoRoot { state: PathBuf },
    #[error("{} cannot be read; do this as the gateway's user, or with sudo", file.display())]
    Unreadable {
        file: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is no certificate of an authority; take it away and restart the gateway, which makes a new one", file.display())]
    NotARoot { file: PathBuf },
    #[error("nobody was asked, since standard input is no terminal; say `--yes` to do it, or `--dry-run` to see it only")]
    NobodyToAsk,
    #[error(transparent)]
    Step(#[from] StepError),
}

/// Does what is wished with the root of the authority in `state`.
pub fn run(wish: TrustRequest, args: &TrustArgs, state: &Path) -> Exit {
    match try_run(wish, args, state) {
        Ok(exit) => exit,
        Err(error) => output::failure(&error),
    }
}

fn try_run(wish: TrustRequest, args: &TrustArgs, state: &Path) -> Result<Exit, TrustError> {
    let root = read_root(state)?;
    let machine = Machine::look(Path::new("/"), &Person::here());
    let mut plan = plan::plan(wish, &root, &machine);
    if let Some(file) = crate::diagnostics::offline::next_root_file(state) {
        plan.append(plan::plan(wish, &read_root_at(state, file)?, &machine));
    }
    output::line(&announce(wish, &root, &plan));
    if !args.dry_run && !plan.steps.is_empty() {
        if !args.yes && !confirmed()? {
            output::line("Nothing was changed.");
            return Ok(Exit::Failed);
        }
        carry_out(wish, &plan.steps)?;
    }
    if wish == TrustRequest::Trust {
        let readable = plan.installed.as_deref().filter(|file| file.exists()).unwrap_or(&root.file);
        output::line(&format!("\n{}", instructions::recipes(readable)));
    }
    // A plan with remarks left something for the person to do.
    Ok(if plan.steps.is_empty() && !plan.remarks.is_empty() { Exit::Failed } else { Exit::Done })
}

/// What would be done, in full.
fn announce(wish: TrustRequest, root: &Root, plan: &Plan) -> String {
    let verb = match wish {
        TrustRequest::Trust => "trust",
        TrustRequest::Untrust => "no longer trust",
    };
    let mut text = format!("To {verb} the local authority of {}:\n", root.file.display());
    for step in &plan.steps {
        // Writing into a String cannot fail.
        let _ = write!(text, "\n  # {}\n  {}\n", step.what, step.line());
    }
    for remark in &plan.remarks {
        let _ = write!(text, "\n{remark}\n");
    }
    text
}

fn confirmed() -> Result<bool, TrustError> {
    if !io::stdin().is_terminal() {
        return Err(TrustError::NobodyToAsk);
    }
    output::part("Run these commands? [y/N] ");
    let _ = io::stdout().flush();
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    Ok(read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes" | "Yes"))
}

fn carry_out(wish: TrustRequest, steps: &[Step]) -> Result<(), TrustError> {
    let mut failed = None;
    for step in steps {
        match execute::run(step, execute::ANSWER_TIMEOUT) {
            Ok(()) => output::line(&format!("done: {}", step.what)),
            // What was never put in cannot be taken out: the rest is taken out all the same.
            Err(error @ StepError::Failed { .. }) if wish == TrustRequest::Untrust => {
                output::line(&format!("not done: {}: {error}", step.what));
                failed = Some(error);
            }
            Err(error) => return Err(error.into()),
        }
    }
    failed.map_or(Ok(()), |error| Err(error.into()))
}

/// Reads the root and gives it the name by which stores know it: its serial number's beginning makes it unlike others.
fn read_root(state: &Path) -> Result<Root, TrustError> {
    read_root_at(state, crate::diagnostics::offline::root_file(state))
}

fn read_root_at(state: &Path, file: PathBuf) -> Result<Root, TrustError> {
    let pem = std::fs::read(&file).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => TrustError::NoRoot { state: state.to_owned() },
        _ => TrustError::Unreadable { file: file.clone(), source },
    })?;
    match name_of(&pem) {
        Some(name) => Ok(Root { state: state.to_owned(), file, name }),
        None => Err(TrustError::NotARoot { file }),
    }
}

fn name_of(pem: &[u8]) -> Option<String> {
    let (_, pem) = parse_x509_pem(pem).ok()?;
    let certificate = pem.parse_x509().ok().filter(|certificate| certificate.tbs_certificate.is_ca())?;
    let serial = certificate.raw_serial();
    Some(format!("doorward-local-authority-{}", hex::encode(&serial[..serial.len().min(4)])))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn certificate(is_ca: rcgen::IsCa) -> String {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        params.is_ca = is_ca;
        params.serial_number = Some(vec![0x1a, 0x2b, 0x3c, 0x4d, 0x5e].into());
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
    }

    fn state_with(pem: Option<&str>) -> tempfile::TempDir {
        let state = tempfile::tempdir().unwrap();
        let file = crate::diagnostics::offline::root_file(state.path());
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        if let Some(pem) = pem {
            fs::write(file, pem).unwrap();
        }
        state
    }

    #[test]
    fn a_root_is_named_after_its_serial_number() {
        let state = state_with(Some(&certificate(rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained))));
        assert_eq!(read_root(state.path()).unwrap().name, "doorward-local-authority-1a2b3c4d");
    }

    #[test]
    fn what_is_no_root_never_gets_into_a_store() {
        let refusal = |pem| read_root(state_with(pem).path()).unwrap_err().to_string();
        assert!(refusal(None).contains("`doorward demo` once"));
        assert!(refusal(Some("hello")).contains("is no certificate of an authority"));
        assert!(refusal(Some(&certificate(rcgen::IsCa::NoCa))).contains("is no certificate of an authority"));
    }

    #[test]
    fn everything_is_announced_before_it_is_done() {
        let root = Root { state: "/".into(), file: "/r.pem".into(), name: "doorward-1a2b".into() };
        let step = Step { what: "the system's store".into(), words: vec!["update".into(), "it now".into()] };
        let plan = Plan { steps: vec![step], remarks: vec!["And by hand.".into()], installed: None };
        assert_eq!(
            announce(TrustRequest::Trust, &root, &plan),
            "To trust the local authority of /r.pem:\n\n  # the system's store\n  update 'it now'\n\nAnd by hand.\n"
        );
    }
}
