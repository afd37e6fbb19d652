//! `doorward probe`: the two ways of a request, step by step, and what is wrong.

use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};

use super::args::ProbeArgs;
use super::exit::Exit;
use super::{configuration, output, synth_config};
use crate::admin::api::{Reply, Request, TargetLine};
use crate::admin::client;
use crate::config::load::LoadError;
use crate::config::resolve::from_text;
use crate::config::settings::{Settings, Target, Upstream, UpstreamTls};
use crate::diagnostics::explain::{self, ExplainRequest};
use crate::diagnostics::probe::{self, Backend, Known, MeantNames, ProbeOptions, Report, Trace};

/// For what the running gateway says of its backends: it has that at hand.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Probes once.
pub fn run(args: &ProbeArgs) -> Exit {
    let origin = args.origin.iter().map(|origin| format!("Origin: {}", origin.trim_end_matches('/')));
    let fields: Vec<String> = args.header.iter().cloned().chain(origin).collect();
    let mut question = match ExplainRequest::new(&args.url, "GET", &fields, None) {
        Ok(question) => question,
        Err(error) => {
            output::failure(&error);
            return Exit::Usage;
        }
    };
    let origin = question.as_browser();
    let settings = match settings(args) {
        Ok(settings) => settings,
        Err(exit) => return exit,
    };
    let wish = match wish(args, question, settings.as_ref()) {
        Ok(wish) => ProbeOptions { origin, ..wish },
        Err(exit) => return exit,
    };
    let report = match on_a_runtime(probe::probe(&wish)) {
        Ok(Ok(report)) => report,
        Ok(Err(error)) => return output::failure(&error),
        Err(error) => return output::failure(&error),
    };
    if args.json {
        output::json(&report);
    } else {
        output::part(&page(&report));
    }
    if report.diagnosis.fine { Exit::Done } else { Exit::Failed }
}

/// Runs what a command does over the network by itself.
pub fn on_a_runtime<T>(work: impl Future<Output = T>) -> io::Result<T> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    Ok(runtime.block_on(work))
}

/// The configuration, where there is one: the gateway may be another machine's.
fn settings(args: &ProbeArgs) -> Result<Option<Settings>, Exit> {
    let surroundings = configuration::surroundings(args.config.staging)?;
    match configuration::load(args.config.config.as_deref(), &surroundings) {
        Ok(loaded) => Ok(Some(loaded.settings)),
        Err(LoadError::NotFound) => Ok(None),
        Err(error) => Err(configuration::tell(&error)),
    }
}

fn wish(args: &ProbeArgs, question: ExplainRequest, settings: Option<&Settings>) -> Result<ProbeOptions, Exit> {
    let explained = settings.map(|settings| explain::explain(settings, &question));
    let by_settings = settings.zip(explained.as_ref()).and_then(|(settings, told)| {
        let (upstream, uri) = told.backend.clone()?;
        let upstream = &settings.upstreams[upstream.0];
        Some(Backend { targets: known(settings, upstream), tls: upstream.tls.clone(), uri, name: upstream.name.clone() })
    });
    let backend = match &args.to {
        None => by_settings,
        Some(to) => {
            let uri = by_settings.as_ref().map_or_else(|| question.target.clone(), |backend| backend.uri.clone());
            Some(named(to, uri, args.insecure)?)
        }
    };
    let trust = UpstreamTls { ca_file: args.ca.clone(), insecure: args.insecure, ..UpstreamTls::default() };
    let meant = settings.map(MeantNames::of);
    let meant = meant.and_then(|names| names.find(&question.host.to_string()).cloned());
    Ok(ProbeOptions { question, origin: None, meant, connect: args.connect, trust, backend, explained, limit: args.timeout })
}

/// The targets of a group, with what the gateway says of them where it runs; it need not.
fn known(settings: &Settings, upstream: &Upstream) -> Vec<Known> {
    let reply = settings.admin.as_deref().map(|socket| client::ask(socket, Request::Status, ANSWER_TIMEOUT));
    let groups = match reply {
        Some(Ok(Reply::Status(status))) => status.upstreams,
        Some(Ok(_) | Err(_)) | None => Vec::new(),
    };
    let told: Vec<TargetLine> =
        groups.into_iter().filter(|group| group.name == upstream.name).flat_map(|group| group.targets).collect();
    let of = |target: &Target| {
        let address = target.address.to_string();
        // A name may be several targets, one for each address.
        let is_it =
            |line: &&TargetLine| line.target.strip_prefix(&address).is_some_and(|at| at.is_empty() || at.starts_with(" at "));
        let out: Option<Vec<String>> = told.iter().filter(is_it).map(TargetLine::out).collect();
        Known { target: target.clone(), out: out.filter(|out| !out.is_empty()).map(|out| out.join("; ")) }
    };
    upstream.targets.iter().map(of).collect()
}

/// The backend as `--to` names it, in the words of the configuration.
fn named(to: &str, uri: http::Uri, insecure: bool) -> Result<Backend, Exit> {
    let surroundings = configuration::surroundings(false)?;
    let resolved = from_text("--to", &synth_config::site(String::new(), "http://localhost", to), &surroundings);
    match resolved.map(|resolved| resolved.settings.upstreams) {
        Ok(upstreams) => {
            let target = Known { target: upstreams[0].targets[0].clone(), out: None };
            Ok(Backend {
                targets: vec![target],
                tls: UpstreamTls { insecure, ..UpstreamTls::default() },
                uri,
                name: to.to_owned(),
            })
        }
        Err(report) => {
            output::complaint(&format!("{report}"));
            Err(Exit::Usage)
        }
    }
}

fn page(report: &Report) -> String {
    let ways = std::iter::once(&report.through).chain(&report.straight);
    let mut text: String = ways.map(way).collect();
    if report.straight.is_none() {
        text.push_str("straight to the backend\n  not asked: name it by --to, or the gateway's configuration by --config\n");
    }
    let diagnosis = &report.diagnosis;
    text.push_str(&format!("\n{}: {}\n", diagnosis.code, diagnosis.what));
    if !diagnosis.repair.is_empty() {
        text.push_str(&format!("  -> {}\n", diagnosis.repair));
    }
    text
}

fn way(trace: &Trace) -> String {
    let step = |step: &probe::Step| {
        let mark = if step.ok { "ok  " } else { "FAIL" };
        format!("  {mark} {:9} {:>6} ms  {}\n", step.what, step.ms, step.seen)
    };
    format!("{}\n{}", trace.way, trace.steps.iter().map(step).collect::<String>())
}
