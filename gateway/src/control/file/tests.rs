//! Reading files and seeing them change, on a real file system.

use std::{os::unix::fs::symlink, time::Duration};

use super::*;

fn texts(paths: &[PathBuf]) -> Vec<String> {
    read(paths)
        .unwrap()
        .into_iter()
        .map(|source| source.text)
        .collect()
}

#[test]
fn a_folder_stands_for_its_yaml_files_in_order() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("b.yml", "b"),
        ("a.yaml", "a"),
        (".hidden.yaml", "x"),
        ("a.yaml~", "x"),
        ("notes.txt", "x"),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    fs::create_dir(folder.path().join("sub.yaml")).unwrap();
    let one = folder.path().join("notes.txt");
    assert_eq!(texts(&[one.clone(), folder.path().to_owned()]), ["x", "a", "b"]);
    assert_eq!(
        read(std::slice::from_ref(&one)).unwrap()[0].name,
        one.display().to_string()
    );
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    assert!(matches!(
        read(std::slice::from_ref(&path)),
        Err(ReadError::Empty(_))
    ));

    let absent = path.join("absent.yaml");
    let error = read(std::slice::from_ref(&absent)).unwrap_err().to_string();
    assert!(
        error.contains("absent.yaml") && error.contains("No such file"),
        "{error}"
    );

    fs::write(path.join("latin.yaml"), b"name: \xe9").unwrap();
    let error = read(std::slice::from_ref(&path)).unwrap_err().to_string();
    assert!(error.contains("latin.yaml"), "{error}");

    symlink("/nowhere/at/all", path.join("latin.yaml.yaml")).unwrap();
    fs::remove_file(path.join("latin.yaml")).unwrap();
    assert!(matches!(read(&[path]), Err(ReadError::Io { .. })));
}

#[test]
fn a_file_past_the_bound_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge.yaml");
    fs::File::create(&path)
        .unwrap()
        .set_len(FILE_BYTES_MAX + 1)
        .unwrap();
    assert!(matches!(read(&[path]), Err(ReadError::TooLarge(_))));
}

/// A change that the watch must see, waited for as an event; the bound only ends a failing test.
async fn sees(watch: &Watch, change: impl FnOnce()) {
    change();
    tokio::time::timeout(Duration::from_secs(30), watch.changed())
        .await
        .expect("the change was not seen");
}

#[tokio::test]
async fn rename_over_and_recreation_are_seen() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sluice.yaml");
    fs::write(&file, "one").unwrap();
    let paths = [file.clone()];
    let mut watch = Watch::new(paths.to_vec());
    for text in ["two", "three"] {
        sees(&watch, || {
            fs::write(folder.path().join("new~"), text).unwrap();
            fs::rename(folder.path().join("new~"), &file).unwrap();
        })
        .await;
        watch.renew();
        assert_eq!(texts(&paths), [text]);
    }
    sees(&watch, || fs::remove_file(&file).unwrap()).await;
    watch.renew();
    sees(&watch, || fs::write(&file, "four").unwrap()).await;
    assert_eq!(texts(&paths), ["four"]);
}

#[tokio::test]
async fn a_replaced_folder_is_seen() {
    let above = tempfile::tempdir().unwrap();
    let folder = above.path().join("conf");
    let fill = |path: &Path, text| {
        fs::create_dir(path).unwrap();
        fs::write(path.join("a.yaml"), text).unwrap();
    };
    fill(&folder, "one");
    let paths = [folder.clone()];
    let mut watch = Watch::new(paths.to_vec());
    sees(&watch, || {
        fs::rename(&folder, above.path().join("old")).unwrap();
        fill(&folder, "two");
    })
    .await;
    watch.renew();
    assert_eq!(texts(&paths), ["two"]);
    sees(&watch, || fs::write(folder.join("a.yaml"), "three").unwrap()).await;
    assert_eq!(texts(&paths), ["three"]);
}

/// What the kubelet does: files are links into `..data`, which is a link to a folder of one version.
#[tokio::test]
async fn a_config_map_swap_is_seen_and_read_whole() {
    let mount = tempfile::tempdir().unwrap();
    let at = |name: &str| mount.path().join(name);
    let version = |name: &str, text: &str| {
        fs::create_dir(at(name)).unwrap();
        for file in ["a.yaml", "b.yaml"] {
            fs::write(at(name).join(file), text).unwrap();
        }
    };
    version("..1", "one");
    symlink("..1", at("..data")).unwrap();
    for file in ["a.yaml", "b.yaml"] {
        symlink(Path::new("..data").join(file), at(file)).unwrap();
    }
    for paths in [vec![mount.path().to_owned()], vec![at("a.yaml"), at("b.yaml")]] {
        let before = texts(&paths)[0].clone();
        let watch = Watch::new(paths.clone());
        let text = format!("{before}+");
        sees(&watch, || {
            version(&format!("..{text}"), &text);
            symlink(format!("..{text}"), at("..data_tmp")).unwrap();
            fs::rename(at("..data_tmp"), at("..data")).unwrap();
        })
        .await;
        assert_eq!(texts(&paths), [text.clone(), text]);
    }
}

#[tokio::test]
async fn a_linked_file_is_seen_where_it_lies() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("real.yaml"), "one").unwrap();
    symlink(
        elsewhere.path().join("real.yaml"),
        folder.path().join("sluice.yaml"),
    )
    .unwrap();
    let paths = [folder.path().join("sluice.yaml")];
    let watch = Watch::new(paths.to_vec());
    sees(&watch, || {
        fs::write(elsewhere.path().join("real.yaml"), "two").unwrap()
    })
    .await;
    assert_eq!(texts(&paths), ["two"]);
}

#[test]
fn reading_is_no_change() {
    let named = BTreeSet::from([PathBuf::from("/etc/sluice/sluice.conf")]);
    let whole = BTreeSet::from([PathBuf::from("/etc/sluice")]);
    let event = |kind, path: &str| notify::Event::new(kind).add_path(PathBuf::from(path));
    let closed = EventKind::Access(AccessKind::Close(AccessMode::Write));
    for (kind, path, expected) in [
        (
            EventKind::Access(AccessKind::Open(AccessMode::Any)),
            "/etc/sluice/a.yaml",
            false,
        ),
        (
            EventKind::Access(AccessKind::Close(AccessMode::Read)),
            "/etc/sluice/a.yaml",
            false,
        ),
        (
            EventKind::Modify(ModifyKind::Data(notify::event::DataChange::Any)),
            "/etc/sluice/a.yaml",
            false,
        ),
        (closed, "/etc/sluice/a.yaml", true),
        (closed, "/etc/other/a.yaml", false),
        (closed, "/etc/sluice/access.log", false),
        (closed, "/etc/sluice/sluice.conf", true),
        (
            EventKind::Create(notify::event::CreateKind::Any),
            "/etc/sluice/..data",
            true,
        ),
    ] {
        assert_eq!(
            concerns(&event(kind, path), &named, &whole),
            expected,
            "{kind:?} {path}"
        );
    }
    assert!(concerns(&notify::Event::new(EventKind::Other), &named, &whole));
}
