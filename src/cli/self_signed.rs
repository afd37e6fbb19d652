//! `doorward self-signed`: a certificate and a key for other programs.

use std::time::Duration;

use super::args::SelfSignedArgs;
use super::exit::Exit;
use super::output;
use crate::base::time::{Clock, SystemClock};
use crate::diagnostics::offline::self_signed::{self, Written};

/// Writes them, and tells how clients believe in them.
pub fn run(args: &SelfSignedArgs) -> Exit {
    let life = Duration::from_secs(u64::from(args.days) * 86_400);
    match self_signed::write(&args.names, &args.out, life, args.force, SystemClock.now()) {
        Ok(written) => {
            output::part(&told(&written, args.days));
            Exit::Done
        }
        Err(error) => output::failure(&error),
    }
}

fn told(written: &Written, days: u16) -> String {
    let (cert, key) = (written.cert.display(), written.key.display());
    format!(
        "Wrote {cert} and {key}, for {days} days and for:\n  {}\n\n\
         Nothing was installed, and no program trusts it by itself:\n  \
         a server  uvicorn app:app --ssl-certfile {cert} --ssl-keyfile {key}\n  \
         curl      curl --cacert {cert} https://localhost:8000\n  \
         Python    ssl.create_default_context(cafile=\"{cert}\")\n  \
         Node      NODE_EXTRA_CA_CERTS={cert} node client.js\n\
         For https on localhost that browsers trust, `doorward proxy localhost 8000` and `doorward trust` need no such file.\n",
        written.names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_was_written_and_that_nothing_was_installed() {
        let written =
            Written { names: vec!["localhost".into(), "::1".into()], cert: "a/cert.pem".into(), key: "a/key.pem".into() };
        let told = told(&written, 30);
        assert!(told.starts_with("Wrote a/cert.pem and a/key.pem, for 30 days and for:\n  localhost, ::1\n"), "{told}");
        assert!(told.contains("Nothing was installed") && told.contains("curl --cacert a/cert.pem"), "{told}");
    }
}
