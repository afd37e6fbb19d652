//! Certificates as files: out of the state folder for other programs, and into it from another client's store.

use std::path::PathBuf;

use crate::base::escape::escaped;
use crate::base::time::{Clock, SystemClock};
use crate::cli::args::{ExportArgs, ImportArgs, StateArgs};
use crate::cli::configuration;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::state_dir::{self, User};
use crate::config::load::LoadError;
use crate::config::settings::Settings;
use crate::diagnostics::offline::export::{self, Exported};
use crate::diagnostics::offline::import::{self, Applied, Imported, Kept};

/// Characters of a reason.
const MAX_SHOWN: usize = 1_000;

/// Writes certificates out.
pub(super) fn export(args: &ExportArgs) -> Exit {
    let (state, _) = match place(&args.state) {
        Ok(place) => place,
        Err(exit) => return exit,
    };
    match export::export(&state, args.name.as_deref(), &args.folder, SystemClock.now()) {
        Ok(written) if written.is_empty() => {
            output::complaint(&format!("doorward: the state folder {} holds no certificate", state.display()));
            Exit::Failed
        }
        Ok(written) => {
            written.iter().for_each(|one| output::line(&exported(one)));
            Exit::Done
        }
        Err(error) => output::failure(&error),
    }
}

fn exported(one: &Exported) -> String {
    format!("{} and {}: {}, until {}", one.chain.display(), one.key.display(), one.names.join(", "), one.not_after)
}

/// Takes another client's certificates over.
pub(super) fn import(args: &ImportArgs) -> Exit {
    let (state, settings) = match place(&args.state) {
        Ok(place) => place,
        Err(exit) => return exit,
    };
    match import::import(&args.path, &state, settings.as_ref(), SystemClock.now()) {
        Ok(imported) => {
            output::part(&told(&imported));
            let refused = imported.report.certificates.iter().any(|taken| taken.came.is_err());
            if refused || imported.report.certificates.is_empty() { Exit::Failed } else { Exit::Done }
        }
        Err(error) => output::failure(&error),
    }
}

fn told(imported: &Imported) -> String {
    let mut text = format!("This is a store of {}.\n", imported.tool);
    for taken in &imported.report.certificates {
        text.push_str(&format!("  certificate {}\n", fate(taken)));
    }
    for taken in &imported.report.accounts {
        text.push_str(&format!("  account at {}\n", fate(taken)));
    }
    if imported.report.certificates.is_empty() {
        text.push_str("  there is no certificate in it\n");
    }
    text.push_str(
        "The other store is as it was: switch its renewals off once this gateway serves. A gateway that runs takes the \
         certificates up at `doorward reload`.\n",
    );
    text
}

fn fate(taken: &Applied) -> String {
    let title = escaped(&taken.title, MAX_SHOWN);
    match &taken.came {
        Ok(Kept::Stored { names, not_after: Some(ends) }) => {
            format!("{title}: taken over, for {}, until {ends}", escaped(&names.join(", "), MAX_SHOWN))
        }
        Ok(Kept::Stored { not_after: None, .. }) => format!("{title}: taken over"),
        Ok(Kept::Superseded) => format!("{title}: not needed, the state folder has one that is as new"),
        Err(why) => format!("{title}: NOT taken over: {}", escaped(why, MAX_SHOWN)),
    }
}

/// The state folder that is meant, with its configuration if there is one.
fn place(args: &StateArgs) -> Result<(PathBuf, Option<Settings>), Exit> {
    let surroundings = configuration::surroundings(false)?;
    let settings = match configuration::load(args.config.as_deref(), &surroundings) {
        Ok(loaded) => Some(loaded.settings),
        Err(LoadError::NotFound) => None,
        Err(error) => return Err(configuration::tell(&error)),
    };
    let state = match (&args.state, &settings) {
        (Some(state), _) => state.clone(),
        (None, Some(settings)) => settings.state.clone(),
        (None, None) => {
            let folders = state_dir::state_folders(&User::of_process(), &surroundings);
            let found = folders.iter().position(|folder| folder.exists()).unwrap_or(0);
            folders.into_iter().nth(found).expect("there is at least one known folder")
        }
    };
    Ok((state, settings))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Timestamp;
    use crate::diagnostics::offline::import::Report;

    #[test]
    fn an_import_tells_the_fate_of_each_thing() {
        let taken = |title: &str, came| Applied { title: title.into(), came };
        let ends = Timestamp::parse("2027-02-01T00:00:00Z");
        let certificates = vec![
            taken("a.example", Ok(Kept::Stored { names: vec!["a.example".into()], not_after: ends })),
            taken("b.example", Err("b.key: it does not belong".into())),
            taken("c.example", Ok(Kept::Superseded)),
        ];
        let accounts = vec![taken("https://ca.example/dir", Ok(Kept::Stored { names: Vec::new(), not_after: None }))];
        let text = told(&Imported { tool: "certbot", report: Report { certificates, accounts } });
        let expected = "\
This is a store of certbot.
  certificate a.example: taken over, for a.example, until 2027-02-01T00:00:00Z
  certificate b.example: NOT taken over: b.key: it does not belong
  certificate c.example: not needed, the state folder has one that is as new
  account at https://ca.example/dir: taken over
The other store is as it was: ";
        assert!(text.starts_with(expected), "{text}");
    }
}
