//! What users and other programs keep: configurations and what is said about them, word for word. Run with
//! `DOORWARD_BLESS=1` to write what is said now, and read the difference before it is committed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use doorward::base::rng::Rng;
use doorward::config::defaults;
use doorward::config::diagnostic::Report;
use doorward::config::environment::Environment;
use doorward::config::json;
use doorward::config::load;
use doorward::config::resolve::{Resolved, from_text};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn surroundings() -> Environment {
    let environment =
        [("HOST", "env.example"), ("TSIG", "c2VjcmV0")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Environment { environment, folder: "/etc/doorward".into(), ..Environment::default() }
}

/// Every configuration of a folder, with its file's name.
fn configurations(name: &str) -> Vec<(PathBuf, String)> {
    let paths = fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path());
    let inputs = paths.filter(|path| !path.to_string_lossy().ends_with(".expected"));
    let sorted: BTreeSet<PathBuf> = inputs.collect();
    sorted.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

fn resolve(path: &Path, text: &str) -> Result<Resolved, Report> {
    from_text(path.file_name().unwrap().to_str().unwrap(), text, &surroundings())
}

/// Compares with the file beside the input, or writes it.
fn golden(input: &Path, actual: &str) -> Option<String> {
    let expected = PathBuf::from(format!("{}.expected", input.display()));
    if std::env::var_os("DOORWARD_BLESS").is_some() {
        fs::write(expected, actual).unwrap();
        return None;
    }
    let expected = fs::read_to_string(&expected).unwrap_or_default();
    (expected != actual).then(|| format!("---- {}, now:\n{actual}", input.display()))
}

fn report(differences: Vec<String>) {
    assert!(differences.is_empty(), "{}\n(DOORWARD_BLESS=1 takes this over)", differences.join("\n"));
}

#[test]
fn good_configurations_mean_what_they_meant() {
    let check = |(path, text): (PathBuf, String)| {
        let resolved = resolve(&path, &text).unwrap_or_else(|problems| panic!("{}: {problems}", path.display()));
        let printed = json::document(&resolved.settings);
        let again = resolve(Path::new("printed.json"), &printed).unwrap_or_else(|problems| panic!("{printed}{problems}"));
        assert_eq!(again.settings, resolved.settings, "{} does not survive its machine form", path.display());
        golden(&path, &printed)
    };
    report(configurations("tests/configs/good").into_iter().filter_map(check).collect());
}

#[test]
fn bad_configurations_are_refused_in_the_same_words() {
    let bad = configurations("tests/configs/bad");
    assert!(bad.len() >= 40, "only {} cases", bad.len());
    let check = |(path, text): (PathBuf, String)| {
        let problems = resolve(&path, &text).map(|_| ()).expect_err(&format!("{} is accepted", path.display()));
        golden(&path, &format!("{problems}\n"))
    };
    report(bad.into_iter().filter_map(check).collect());
}

#[test]
fn the_documented_defaults_are_the_defaults() {
    let path = folder("config/doorward.conf");
    let resolved = resolve(&path, &fs::read_to_string(&path).unwrap()).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(resolved.settings, defaults::settings(&surroundings()));
}

#[test]
fn the_shipped_examples_load() {
    for name in ["doorward.conf", "staging.conf", "localhost.conf"] {
        let loaded = load::load(Some(&folder("config").join(name)), &surroundings()).unwrap_or_else(|error| panic!("{error}"));
        assert!(name == "doorward.conf" || loaded.warnings.is_empty(), "{name}: {}", loaded.warnings);
    }
}

/// The annotated file without the marks that keep its examples from meaning something: what it explains must be so.
#[test]
fn the_documented_examples_resolve() {
    let text = fs::read_to_string(folder("config/doorward.conf")).unwrap();
    let begins = |block: &str| format!("# {block} {{");
    let mut example = String::new();
    let mut inside = false;
    for line in text.lines() {
        inside |= [begins("upstream app"), begins("example.com www.example.com")].iter().any(|head| line == head);
        if inside {
            example.push_str(line.strip_prefix('#').unwrap_or(line));
            example.push('\n');
            inside = line != "# }";
        }
    }
    // The three words that answer stand below each other; a site has one of them.
    let without = |line: &&str| !line.contains("redirect https://example.org") && !line.contains("respond 200 \"hello\"");
    let example: Vec<&str> = example.lines().filter(without).collect();
    let resolved = from_text("example", &example.join("\n"), &surroundings()).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(resolved.settings.sites[0].blocks.len(), 7);
    let group = &resolved.settings.upstreams[0];
    let default = defaults::upstream("app".into());
    assert_eq!((group.retry, group.retry_budget, group.timeouts), (default.retry, default.retry_budget, default.timeouts));
    assert_eq!(group.balance, default.balance);
}

/// Spoils texts in every way a slip, a broken disk or a clumsy program could.
struct Spoiler {
    rng: Rng,
    texts: Vec<String>,
}

impl Spoiler {
    const PIECES: [&'static str; 24] = [
        "{",
        "}",
        "\n",
        "\"",
        "#",
        " ",
        "\\",
        "{$",
        "{$HOST}",
        "{$X:",
        "[",
        "]",
        ":",
        ",",
        "*",
        "/",
        "\0",
        "\u{feff}",
        "é",
        "𝄞",
        "\r",
        "99999999999999999999",
        "tls acme {\n",
        "import x\n",
    ];

    fn text(&mut self) -> String {
        let at = self.below(self.texts.len());
        let mut bytes = self.texts[at].clone().into_bytes();
        for _ in 0..=self.below(4) {
            self.spoil(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn spoil(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        let end = (at + self.below(40)).min(bytes.len());
        match self.below(6) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let piece = bytes[at..end].to_vec();
                let to = self.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            3 if at < bytes.len() => bytes[at] = self.rng.roll().to_le_bytes()[0],
            4 => {
                let other = self.below(self.texts.len());
                let other = self.texts[other].as_bytes();
                let from = at.min(other.len());
                bytes.splice(at..at, other[from..(from + 60).min(other.len())].iter().copied());
            }
            _ => {
                let piece = Self::PIECES[self.below(Self::PIECES.len())];
                bytes.splice(at..at, piece.bytes());
            }
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.below(bound as u64)).unwrap()
    }
}

#[test]
fn no_text_makes_reading_panic_and_what_is_accepted_survives_its_machine_form() {
    let everything = folder("src/config/json/everything.conf");
    let mut texts = vec![fs::read_to_string(everything).unwrap()];
    texts.extend(["tests/configs/good", "tests/configs/bad"].iter().flat_map(|name| configurations(name)).map(|(_, text)| text));
    texts.extend(
        configurations("tests/configs/good").iter().map(|(path, text)| json::document(&resolve(path, text).unwrap().settings)),
    );
    let mut spoiler = Spoiler { rng: Rng::seeded(7), texts };
    let mut accepted = 0;
    for _ in 0..10_000 {
        let text = spoiler.text();
        match from_text("spoilt", &text, &surroundings()) {
            Err(problems) => assert!(!problems.to_string().is_empty()),
            Ok(resolved) => {
                accepted += 1;
                let printed = json::document(&resolved.settings);
                match from_text("printed.json", &printed, &surroundings()) {
                    Ok(again) => assert_eq!(again.settings, resolved.settings, "{text}\n{printed}"),
                    Err(problems) => assert!(printed.contains("(redacted)"), "{text}\n{problems}"),
                }
            }
        }
    }
    assert!(accepted > 100, "only {accepted} of the texts were still configurations");
}

#[test]
fn long_texts_take_time_in_proportion_to_their_length() {
    let many: String = (0..2_000).map(|n| format!("h{n}.example {{\n proxy {}\n}}\n", n + 1)).collect();
    for text in
        [many, "a {\n".repeat(200_000), "x ".repeat(500_000), "[".repeat(500_000), "{$A".repeat(300_000), "\"\\".repeat(500_000)]
    {
        let said = match from_text("long", &text, &surroundings()) {
            Ok(_) => 0,
            Err(problems) => problems.to_string().len(),
        };
        assert!(said < 4_000_000, "{said} bytes are said about one text");
    }
}
