use std::fs;

use super::*;
use crate::testing::{directory_with, in_namespaces};

/// More than fsconfig(2) could take in one string, and more than a page holds of their names.
const LAYERS: usize = 80;

/// The names that the store gives to layers, the lowest first; each has a file of its own, and all have one in common.
fn layers() -> Vec<String> {
    let name = |number| format!("layers/{number:064}");
    let names: Vec<_> = (0..LAYERS).map(name).collect();
    for (number, layer) in names.iter().enumerate() {
        directory_with(layer, &number.to_string(), "");
        directory_with(layer, "number", &number.to_string());
    }
    names
}

fn shows_all_layers(lower_dirs: LowerDirs) {
    fs::create_dir("mnt").unwrap();
    let stage = Stage::with(lower_dirs).unwrap();
    let layers = layers();
    let top = LAYERS - 1;
    // A layer may hide a directory of those below; a user namespace can only say so with a `user.` attribute.
    directory_with(Path::new(&layers[0]).join("opaque"), "below", "");
    directory_with(Path::new(&layers[top]).join("opaque"), "above", "");
    let opaque = Path::new(&layers[top]).join("opaque");
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(&opaque, "user.overlay.opaque", b"y", flags).unwrap();

    fs::create_dir("scratch").unwrap();
    let overlay = Overlay {
        layers: &layers,
        upper: Upper::Directory(PathBuf::from("scratch")),
    };
    let tree = overlay.mount(&stage).unwrap();
    assert_eq!(fs::read_dir(stage.root()).unwrap().count(), 0);

    attach(&tree, &stage.root()).unwrap();
    for number in 0..LAYERS {
        assert!(stage.root().join(number.to_string()).exists(), "{number}");
    }
    let number = stage.root().join("number");
    assert_eq!(fs::read_to_string(&number).unwrap(), top.to_string());
    assert!(stage.root().join("opaque/above").exists());
    assert!(!stage.root().join("opaque/below").exists());
    fs::write(&number, "written").unwrap();
    assert_eq!(
        fs::read_to_string("scratch/upper/number").unwrap(),
        "written"
    );
}

#[test]
fn many_layers_are_mounted_where_the_kernel_takes_them_at_once() {
    let name = "many_layers_are_mounted_where_the_kernel_takes_them_at_once";
    in_namespaces(module_path!(), name, || {
        shows_all_layers(LowerDirs::AllAtOnce);
    });
}

#[test]
fn many_layers_are_mounted_as_this_kernel_takes_them() {
    let name = "many_layers_are_mounted_as_this_kernel_takes_them";
    in_namespaces(module_path!(), name, || {
        let lower_dirs = LowerDirs::of_this_kernel(Path::new(".")).unwrap();
        let release = rustix::system::uname();
        let release = release.release().to_str().unwrap();
        let mut numbers = release
            .split('.')
            .map_while(|part| part.parse::<u32>().ok());
        if (numbers.next(), numbers.next()) >= (Some(6), Some(7)) {
            assert_eq!(lower_dirs, LowerDirs::OneByOne);
        }
        shows_all_layers(lower_dirs);
    });
}
