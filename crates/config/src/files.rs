//! From paths to one merged tree: a file, several files, or the files of a folder.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use renkei_core::{
    Diagnostic, Diagnostics, Entry, Node, NodeKind, Span,
    diagnostic::{Source, Sources, suggest},
};

use crate::{plan::Replaced, yaml};

/// A config may have this many files.
pub const MAX_FILES: usize = 1000;

/// The words of the top level that hold named things, and what one of them is called.
const SECTIONS: [(&str, &str); 9] = [
    ("systems", "the system"),
    ("actions", "the action"),
    ("tools", "the tool"),
    ("queues", "the queue"),
    ("schedules", "the schedule"),
    ("resources", "the resource"),
    ("prompts", "the prompt"),
    ("groups", "the group"),
    ("tests", "the test"),
];
/// Words of later versions.
const LATER: [&str; 9] =
    ["access", "captures", "endpoints", "replicas", "streams", "topics", "triggers", "views", "webhooks"];

/// All files as one.
#[derive(Debug)]
pub(crate) struct Merged {
    /// A mapping, perhaps empty.
    pub(crate) server: Node,
    /// What stands under each of [`SECTIONS`].
    sections: [Vec<Entry>; SECTIONS.len()],
    /// Relative paths in the config start here.
    pub(crate) base_dir: PathBuf,
}

impl Merged {
    /// What stands under a word of the top level, of all files.
    pub(crate) fn section(&self, word: &str) -> &[Entry] {
        let found = SECTIONS.iter().zip(&self.sections).find(|((known, _), _)| *known == word);
        found.map(|(_, entries)| &entries[..]).unwrap_or_default()
    }

    /// More of what stands under a word. A name that is there already is refused.
    pub(crate) fn add(&mut self, word: &str, entries: Vec<Entry>, d: &mut Diagnostics) {
        let found = SECTIONS.iter().zip(&mut self.sections).find(|((known, _), _)| *known == word);
        if let Some(((_, what), all)) = found {
            entries.into_iter().for_each(|entry| join(entry, all, what, d));
        }
    }
}

/// Reads the files and unites what stands under their top-level words. With `tests`, also the test files beside
/// them.
pub(crate) fn read(
    paths: &[PathBuf],
    tests: bool,
    replaced: &Replaced,
    sources: &mut Sources,
    d: &mut Diagnostics,
) -> Merged {
    let here = [PathBuf::from(".")];
    let paths = if paths.is_empty() { &here } else { paths };
    let mut out = Merged {
        server: Node { kind: NodeKind::Map(Vec::new()), span: Span::default() },
        sections: Default::default(),
        base_dir: base_dir(&paths[0]),
    };
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            folder(path, is_config, &mut files, sources, d);
        } else if name_of(path).is_some_and(is_test) {
            let hint = "name the config whose tests they are: the files beside it are found by their names";
            problem(path, "a file of tests is no config".into(), hint, sources, d);
        } else {
            files.push(path.clone());
        }
    }
    if files.len() > MAX_FILES {
        let message = format!("the config has {} files; the limit is {MAX_FILES}", files.len());
        problem(&paths[0], message, "put fewer files into the folder", sources, d);
        files.truncate(MAX_FILES);
    }
    let mut server = Vec::new();
    let mut empty = true;
    for path in &files {
        let Some(root) = read_file(path, replaced, sources, d) else {
            empty = false;
            continue;
        };
        if matches!(root.kind, NodeKind::Null) {
            continue;
        }
        empty = false;
        merge(root, &mut server, &mut out, d);
    }
    if tests {
        read_tests(paths, replaced, &mut out, sources, d);
    }
    if empty && !files.is_empty() {
        let hint = "declare `systems:` and `tools:`; `renkei demo` shows an example";
        problem(&paths[0], "the config is empty".into(), hint, sources, d);
    }
    if let Some(span) = server.first().map(|entry: &Entry| entry.key_span) {
        out.server.span = span;
    }
    out.server.kind = NodeKind::Map(server);
    out
}

/// The test files: all of a folder, and `NAME.test.yaml` beside `NAME.yaml`.
fn read_tests(
    paths: &[PathBuf],
    replaced: &Replaced,
    out: &mut Merged,
    sources: &mut Sources,
    d: &mut Diagnostics,
) {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            folder(path, is_test, &mut files, sources, d);
        } else {
            let beside = ["test.yaml", "test.yml"].map(|extension| path.with_extension(extension));
            files.extend(beside.into_iter().filter(|file| file.is_file()));
        }
    }
    if files.len() > MAX_FILES {
        let message = format!("there are {} files of tests; the limit is {MAX_FILES}", files.len());
        problem(&paths[0], message, "put more tests into a file", sources, d);
        files.truncate(MAX_FILES);
    }
    let tests = SECTIONS.iter().position(|(word, _)| *word == "tests").unwrap_or_default();
    for path in &files {
        let Some(root) = read_file(path, replaced, sources, d) else { continue };
        let entries = match root.kind {
            NodeKind::Map(entries) => entries,
            NodeKind::Null => continue,
            _ => {
                let message = format!("a file of tests is a mapping, and this is {}", root.what());
                d.push(Diagnostic::error(root.span, message).hint("begin with `tests:`"));
                continue;
            }
        };
        for entry in entries {
            match &*entry.key {
                "renkei" => version(&entry, d),
                "tests" => unite(entry, &mut out.sections[tests], SECTIONS[tests].1, d),
                word => d.push(
                    Diagnostic::error(entry.key_span, format!("`{word}` cannot stand in a file of tests"))
                        .hint("here is only `tests:`; move the rest into the config"),
                ),
            }
        }
    }
}

fn base_dir(path: &Path) -> PathBuf {
    let folder = if path.is_dir() { Some(path) } else { path.parent() };
    folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

/// A problem with a file as a whole: it has a name and no text.
fn problem(path: &Path, message: String, hint: &str, sources: &mut Sources, d: &mut Diagnostics) {
    let file = add(sources, path, String::new());
    let span = Span { file, start: 0, end: 0 };
    d.push(Diagnostic::error(span, message).hint(hint));
}

fn add(sources: &mut Sources, path: &Path, text: String) -> u16 {
    sources.files.push(Source { name: path.display().to_string(), text });
    // There are at most `MAX_FILES` files, each with at most one more entry for a problem.
    u16::try_from(sources.files.len() - 1).unwrap_or(u16::MAX)
}

/// The files directly in `path` whose names are `wanted`, `renkei.yaml` first, the others by name.
/// Hidden files and tests (`*.test.yaml`) are no part of the config.
fn folder(
    path: &Path,
    wanted: fn(&str) -> bool,
    files: &mut Vec<PathBuf>,
    sources: &mut Sources,
    d: &mut Diagnostics,
) {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => {
            return problem(
                path,
                format!("the folder cannot be read: {error}"),
                "check its permissions",
                sources,
                d,
            );
        }
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|file| name_of(file).is_some_and(wanted) && file.is_file())
        .collect();
    found.sort_by_key(|file| (file.file_name().is_none_or(|name| name != "renkei.yaml"), file.clone()));
    if found.is_empty() && wanted("renkei.yaml") {
        let hint = "put a `renkei.yaml` into it, or name a file; `renkei demo` shows an example";
        problem(path, "the folder has no `*.yaml` file".into(), hint, sources, d);
    }
    files.append(&mut found);
}

fn name_of(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

/// The name of a YAML file without its ending.
fn stem(name: &str) -> Option<&str> {
    let stem = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml"))?;
    Some(stem).filter(|stem| !stem.is_empty() && !stem.starts_with('.'))
}

fn is_config(name: &str) -> bool {
    stem(name).is_some_and(|stem| !stem.ends_with(".test"))
}

fn is_test(name: &str) -> bool {
    stem(name).is_some_and(|stem| stem.ends_with(".test"))
}

fn read_file(path: &Path, replaced: &Replaced, sources: &mut Sources, d: &mut Diagnostics) -> Option<Node> {
    if let Some(text) = replaced.get(&path.display().to_string()) {
        let file = add(sources, path, text.clone());
        return yaml::read(file, text, d);
    }
    let mut bytes = Vec::new();
    // One byte more than allowed shows that there is more.
    let limit = yaml::MAX_FILE_BYTES as u64 + 1;
    if let Err(error) = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)) {
        let hint = match error.kind() {
            std::io::ErrorKind::NotFound => {
                "check the path; without one, the files of the current folder are read"
            }
            _ => "check its permissions",
        };
        problem(path, format!("the file cannot be read: {error}"), hint, sources, d);
        return None;
    }
    if bytes.len() > yaml::MAX_FILE_BYTES {
        let message = format!("the file has more than {} bytes", yaml::MAX_FILE_BYTES);
        problem(path, message, "split it into several files in one folder", sources, d);
        return None;
    }
    match String::from_utf8(bytes) {
        Ok(text) => {
            let file = add(sources, path, text);
            yaml::read(file, &sources.files[usize::from(file)].text, d)
        }
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            problem(
                path,
                format!("the file is not UTF-8, from byte {at} on"),
                "save it as UTF-8",
                sources,
                d,
            );
            None
        }
    }
}

fn merge(root: Node, server: &mut Vec<Entry>, out: &mut Merged, d: &mut Diagnostics) {
    let NodeKind::Map(entries) = root.kind else {
        d.push(
            Diagnostic::error(root.span, format!("a config is a mapping, and this is {}", root.what()))
                .hint("begin with `systems:` and `tools:`"),
        );
        return;
    };
    for entry in entries {
        match &*entry.key {
            "renkei" => version(&entry, d),
            "server" => unite(entry, server, "the key", d),
            word => match SECTIONS.iter().position(|(known, _)| *known == word) {
                Some(index) => unite(entry, &mut out.sections[index], SECTIONS[index].1, d),
                None => d.push(unknown(word, entry.key_span)),
            },
        }
    }
}

fn unknown(word: &str, span: Span) -> Diagnostic {
    if LATER.contains(&word) {
        return Diagnostic::error(span, format!("`{word}` is not available in this version"))
            .hint("it arrives with a later release; remove it until then");
    }
    let diagnostic = Diagnostic::error(span, format!("unknown key `{word}` at the top level"));
    let known: Vec<&str> =
        ["renkei", "server"].into_iter().chain(SECTIONS.iter().map(|(word, _)| *word)).collect();
    match suggest(word, known.iter().copied().chain(LATER)) {
        Some(close) => diagnostic.hint(format!("did you mean `{close}`?")),
        None => {
            let known: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
            diagnostic.hint(format!("allowed here: {}", known.join(", ")))
        }
    }
}

fn version(entry: &Entry, d: &mut Diagnostics) {
    if matches!(&entry.value.kind, NodeKind::Number(number) if number.as_i64() == Some(1)) {
        return;
    }
    let found = entry.value.to_value();
    d.push(
        Diagnostic::error(
            entry.value.span,
            format!("`{found}` is no version of the config language that is known here"),
        )
        .hint("write `renkei: 1`, or leave the line out"),
    );
}

fn unite(entry: Entry, all: &mut Vec<Entry>, what: &str, d: &mut Diagnostics) {
    let members = match entry.value.kind {
        NodeKind::Map(members) => members,
        NodeKind::Null => {
            let message = format!("`{}` is empty", entry.key);
            return d.push(Diagnostic::warning(entry.key_span, message).hint("remove the line, or fill it"));
        }
        _ => {
            let message = format!("`{}` is a mapping, and this is {}", entry.key, entry.value.what());
            return d.push(
                Diagnostic::error(entry.value.span, message).hint("write one `name: …` a line under it"),
            );
        }
    };
    members.into_iter().for_each(|member| join(member, all, what, d));
}

fn join(member: Entry, all: &mut Vec<Entry>, what: &str, d: &mut Diagnostics) {
    match all.iter().find(|other| other.key == member.key) {
        None => all.push(member),
        Some(first) => d.push(
            Diagnostic::error(member.key_span, format!("{what} `{}` is there twice", member.key))
                .label("again here")
                .related(first.key_span, "first here")
                .hint("remove or rename one of them"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn run(paths: &[PathBuf]) -> (Merged, Vec<String>) {
        let (mut sources, mut d) = (Sources::default(), Diagnostics::default());
        let merged = read(paths, false, &Replaced::new(), &mut sources, &mut d);
        (merged, d.iter().map(|x| x.message.clone()).collect())
    }

    #[test]
    fn a_folder_is_one_config() {
        let folder = write(&[
            ("b.yaml", "systems: { b: 1 }\nserver: { title: x }"),
            ("a.yml", "systems: { a: 1 }"),
            ("renkei.yaml", "renkei: 1\nserver: { name: x }\nsystems: { z: 1 }"),
            ("a.test.yaml", "nonsense: ["),
            (".hidden.yaml", "nonsense: ["),
            ("notes.txt", "nonsense: ["),
            ("empty.yaml", "# nothing yet\n"),
        ]);
        let (merged, problems) = run(&[folder.path().to_owned()]);
        assert_eq!(problems, Vec::<String>::new());
        let names: Vec<&str> = merged.section("systems").iter().map(|entry| &*entry.key).collect();
        assert_eq!(names, ["z", "a", "b"]);
        assert_eq!(merged.server.as_map().unwrap().len(), 2);
        assert_eq!(merged.base_dir, folder.path());
    }

    #[test]
    fn files_add_up_and_names_are_unique() {
        let folder = write(&[
            ("1.yaml", "server: { name: x }\ntools: { t: 1 }"),
            ("2.yaml", "server: { name: y }\ntools: { t: 2 }\nsystem: {}\ntopics: {}\nrenkei: 2"),
            ("3.yaml", "- a"),
            ("4.yaml", "tools:\nsystems: []"),
        ]);
        let path = |name: &str| folder.path().join(name);
        let (merged, problems) =
            run(&[path("1.yaml"), path("2.yaml"), path("3.yaml"), path("4.yaml"), path("no.yaml")]);
        assert_eq!(merged.base_dir, folder.path());
        assert_eq!(
            problems,
            [
                "the key `name` is there twice",
                "the tool `t` is there twice",
                "unknown key `system` at the top level",
                "`topics` is not available in this version",
                "`2` is no version of the config language that is known here",
                "a config is a mapping, and this is a list",
                "`tools` is empty",
                "`systems` is a mapping, and this is a list",
                "the file cannot be read: No such file or directory (os error 2)",
            ]
        );
    }

    #[test]
    fn tests_stand_beside_the_config() {
        let folder = write(&[
            ("a.yaml", "tests: { one: 1 }"),
            ("a.test.yaml", "renkei: 1\ntests: { two: 2, one: 3 }\ntools: { t: 1 }"),
            ("b.test.yml", "tests: { three: 3 }"),
            ("c.test.yaml", "- a"),
            ("d.test.yaml", ""),
        ]);
        let names = |path: PathBuf, tests| {
            let (mut sources, mut d) = (Sources::default(), Diagnostics::default());
            let merged = read(&[path], tests, &Replaced::new(), &mut sources, &mut d);
            let names: Vec<String> =
                merged.section("tests").iter().map(|entry| entry.key.to_string()).collect();
            (names.join(" "), d.iter().map(|x| x.message.clone()).collect::<Vec<_>>())
        };
        let file = |name: &str| folder.path().join(name);
        let beside = [
            "the test `one` is there twice".to_owned(),
            "`tools` cannot stand in a file of tests".to_owned(),
        ];
        assert_eq!(names(file("a.yaml"), true), ("one two".into(), beside.to_vec()));
        assert_eq!(names(file("a.yaml"), false), ("one".into(), vec![]));
        let (all, problems) = names(folder.path().to_owned(), true);
        assert_eq!(all, "one two three");
        assert_eq!(problems[2..], ["a file of tests is a mapping, and this is a list".to_owned()]);
        assert_eq!(names(file("a.test.yaml"), true).1, ["a file of tests is no config"]);
    }

    #[test]
    fn nothing_to_read_is_said() {
        let folder = write(&[("a.txt", "")]);
        assert_eq!(run(&[folder.path().to_owned()]).1, ["the folder has no `*.yaml` file"]);
        let folder = write(&[("a.yaml", "# soon\n")]);
        assert_eq!(run(&[folder.path().to_owned()]).1, ["the config is empty"]);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.yaml"), b"a: \xff").unwrap();
        assert_eq!(run(&[folder.path().to_owned()]).1, ["the file is not UTF-8, from byte 3 on"]);
    }
}
