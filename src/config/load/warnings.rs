//! What settings name and the machine does not have as they need it. Only warned of.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::base::regular_file;
use crate::base::subprocess;
use crate::config::diagnostic::Diagnostic;
use crate::config::settings::{Alert, Block, DnsProvider, End, Settings, SiteTls};

/// Files that settings name and this process cannot read now. Only warned of: a certificate may come later, and is
/// watched for.
pub(super) fn unreadable_files(settings: &Settings) -> impl Iterator<Item = Diagnostic> {
    let sites = settings.sites.iter().flat_map(|site| {
        let files: Vec<&PathBuf> = match &site.tls {
            SiteTls::Files { chain, key, .. } => vec![chain, key],
            SiteTls::Acme(acme) => acme.ca_file.iter().collect(),
            SiteTls::Internal | SiteTls::Off => Vec::new(),
        };
        files.into_iter().map(move |path| (format!("the site at {}", site.at), path))
    });
    let upstreams = settings.upstreams.iter().flat_map(|group| {
        let client = group.tls.client.iter().flat_map(|(chain, key)| [chain, key]);
        group.tls.ca_file.iter().chain(client).map(move |path| (format!("the upstream `{}`", group.name), path))
    });
    let unread = |(whose, path): (String, &PathBuf)| {
        let error = regular_file::open(path).err()?;
        let what = format!("{whose} names the file {}, which cannot be read: {error}", path.display());
        Some(
            Diagnostic::general(what)
                .hint("put it there, readable for the gateway's user; relative paths start from the configuration's folder"),
        )
    };
    let mut seen = BTreeSet::new();
    sites.chain(upstreams).filter(move |(_, path)| seen.insert(*path)).filter_map(unread)
}

/// Folders of `files` in which the state or a file with secrets lies. `files` serves none of them, and a mistake in the
/// layout of folders is better found now than by a 404.
pub(super) fn served_secrets(settings: &Settings) -> impl Iterator<Item = Diagnostic> {
    let folders: BTreeSet<&Path> = settings.sites.iter().flat_map(|site| &site.blocks).filter_map(folder_of).collect();
    let private = settings.private_files();
    folders.into_iter().flat_map(move |folder| {
        let lies_in = |place: &Path, folder: &Path| {
            let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
            real(place).starts_with(real(folder))
        };
        let (shown, state) = (folder.display(), settings.state.display());
        let inside = lies_in(folder, &settings.state).then(|| {
            Diagnostic::general(format!("`files {shown}` lies in the state folder {state}, of which nothing is served"))
                .hint("move the site's files out of the state folder")
        });
        let around = (inside.is_none() && lies_in(&settings.state, folder)).then(|| {
            Diagnostic::general(format!("the state folder {state} lies in the folder of `files {shown}`; it is not served"))
                .hint("move the state folder, with `state`, out of what is public")
        });
        let files = private.iter().filter(move |file| lies_in(file, folder)).map(move |file| {
            let what = format!("{} lies in the folder of `files {shown}`; it is not served", file.display());
            Diagnostic::general(what).hint("move it out of what is public: copies and backups of it in the folder are served")
        });
        inside.into_iter().chain(around).chain(files).collect::<Vec<_>>()
    })
}

fn folder_of(block: &Block) -> Option<&Path> {
    match &block.end {
        End::Files(files) => Some(&files.folder),
        End::Proxy(_) | End::Redirect { .. } | End::Respond { .. } => None,
    }
}

/// Programs that settings name and that could not be started now. Only warned of: they may come later, and what is served
/// does not depend on them.
pub(super) fn unrunnable_programs(settings: &Settings) -> impl Iterator<Item = Diagnostic> {
    let of_sites = settings.sites.iter().filter_map(|site| match &site.tls {
        SiteTls::Acme(acme) => Some(acme),
        SiteTls::Internal | SiteTls::Files { .. } | SiteTls::Off => None,
    });
    let all = std::iter::once(&settings.acme).chain(of_sites).flat_map(|acme| std::iter::once(acme).chain(&acme.fallback));
    let mut seen = BTreeSet::new();
    let programs = all.flat_map(|acme| {
        let alert = match &acme.alert {
            Some(Alert::Program(path)) => Some(("alert", path)),
            Some(Alert::Url(_)) | None => None,
        };
        let dns = match &acme.dns {
            Some(DnsProvider::Hook(path)) => Some(("dns-hook", path)),
            Some(DnsProvider::Rfc2136(_) | DnsProvider::Service { .. }) | None => None,
        };
        acme.hook.iter().map(|path| ("hook", path)).chain(alert).chain(dns)
    });
    programs.filter(move |(_, path)| seen.insert(*path)).filter_map(|(word, path)| {
        let why = subprocess::obstacle(path)?;
        let what = format!("`{word}` names the program {}, which cannot be run: {why}", path.display());
        Some(
            Diagnostic::general(what)
                .hint("put it there and make it executable: chmod +x; relative paths start from the file's folder"),
        )
    })
}
