//! What the agent takes from the environment it was started in: read once, passed on as a value.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

/// Directories and switches the agent's own environment decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Where the configuration is, and whether it was named and therefore has to exist.
    pub config: Option<ConfigPath>,
    /// Where the agent keeps everything: `$SLIPWAY_DATA`, `$XDG_DATA_HOME/slipway` or `~/.local/share/slipway`.
    pub data: PathBuf,
    /// `NO_COLOR` is set (<https://no-color.org>), or the terminal has no colours.
    pub no_colour: bool,
    /// Nobody watches: another CI system runs the agent, or the terminal is a dumb one.
    pub no_status_line: bool,
}

/// A place for the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigPath {
    /// The file.
    pub path: PathBuf,
    /// It was named with `$SLIPWAY_CONFIG`; otherwise it may be missing.
    pub required: bool,
}

/// The environment does not say where data goes.
#[derive(Debug, thiserror::Error)]
#[error(
    "failed to find a directory for data: none of $SLIPWAY_DATA, $XDG_DATA_HOME and $HOME is an absolute path"
)]
pub struct NoDataDirectory;

/// The data directory cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("failed to create the data directory {path}: {source}", path = path.display())]
pub struct DataDirectoryError {
    /// The directory.
    path: PathBuf,
    /// Why.
    source: io::Error,
}

impl Machine {
    /// Reads the environment through `variable`. Empty variables, and directories that are not absolute, count as unset
    /// (XDG Base Directory Specification).
    pub fn new(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, NoDataDirectory> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let directory = |name: &str| {
            set(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let home = directory("HOME");
        let below_home = |path: &str| home.as_ref().map(|home| home.join(path));
        let data = set("SLIPWAY_DATA")
            .and_then(|path| std::path::absolute(path).ok())
            .or_else(|| Some(directory("XDG_DATA_HOME")?.join("slipway")))
            .or_else(|| below_home(".local/share/slipway"))
            .ok_or(NoDataDirectory)?;
        let config = match set("SLIPWAY_CONFIG") {
            Some(path) => Some(ConfigPath {
                path: path.into(),
                required: true,
            }),
            None => directory("XDG_CONFIG_HOME")
                .or_else(|| below_home(".config"))
                .map(|directory| ConfigPath {
                    path: directory.join("slipway/config.yml"),
                    required: false,
                }),
        };
        let dumb = set("TERM").is_none_or(|term| term == "dumb");
        Ok(Self {
            config,
            data,
            no_colour: dumb || set("NO_COLOR").is_some(),
            no_status_line: dumb || set("CI").is_some(),
        })
    }

    /// Where files of other repositories are kept that pipelines include.
    #[must_use]
    pub fn includes(&self) -> PathBuf {
        self.data.join("includes")
    }

    /// Makes the data directory, for its owner only.
    pub fn create_data(&self) -> Result<(), DataDirectoryError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.data)
            .map_err(|source| DataDirectoryError {
                path: self.data.clone(),
                source,
            })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Machine;

    fn machine(variables: &[(&str, &str)]) -> Option<Machine> {
        Machine::new(|name| {
            let found = variables.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| value.into())
        })
        .ok()
    }

    #[test]
    fn the_nearest_variable_decides_where_data_goes() {
        let data = |variables: &[_]| machine(variables).map(|machine| machine.data);
        let home = ("HOME", "/home/me");
        let xdg = ("XDG_DATA_HOME", "/xdg");
        assert_eq!(
            data(&[home]).as_deref(),
            Some(Path::new("/home/me/.local/share/slipway"))
        );
        assert_eq!(
            data(&[home, xdg]).as_deref(),
            Some(Path::new("/xdg/slipway"))
        );
        assert_eq!(
            data(&[home, xdg, ("SLIPWAY_DATA", "/data")]).as_deref(),
            Some(Path::new("/data"))
        );
        assert_eq!(data(&[("XDG_DATA_HOME", "relative")]), None);
    }

    #[test]
    fn only_a_named_configuration_has_to_exist() {
        let config = |variables: &[_]| machine(variables).unwrap().config.unwrap();
        let home = ("HOME", "/home/me");
        let found = config(&[home]);
        assert_eq!(found.path, Path::new("/home/me/.config/slipway/config.yml"));
        assert!(!found.required);
        assert!(config(&[home, ("SLIPWAY_CONFIG", "own.yml")]).required);
    }

    #[test]
    fn colours_and_the_status_line_are_for_people() {
        let home = ("HOME", "/");
        let term = ("TERM", "xterm");
        let person = machine(&[home, term]).unwrap();
        assert!(!person.no_colour && !person.no_status_line);
        assert!(machine(&[home]).unwrap().no_colour);
        assert!(machine(&[home, term, ("NO_COLOR", "1")]).unwrap().no_colour);
        assert!(
            machine(&[home, term, ("CI", "true")])
                .unwrap()
                .no_status_line
        );
    }
}
