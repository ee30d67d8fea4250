//! A scratch directory and the real binary in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use mendwright_tests::{guests, workspace_root};

/// The scratch directory of one demo.
pub(crate) struct Shell {
    directory: PathBuf,
    binary: PathBuf,
}

/// What a command printed, and how it ended.
pub(crate) struct Output {
    pub(crate) text: String,
    pub(crate) code: i32,
}

impl Shell {
    /// Empties `scratch/<name>` and finds the binary beside this one.
    pub(crate) fn new(name: &str) -> Result<Self> {
        let directory = workspace_root().join("scratch").join(name);
        if directory.exists() {
            std::fs::remove_dir_all(&directory).with_context(|| directory.display().to_string())?;
        }
        std::fs::create_dir_all(directory.join("jobs"))?;
        let own = std::env::current_exe()?;
        let binary = own.parent().map(|folder| folder.join("mendwright")).unwrap_or_default();
        ensure!(binary.exists(), "build the binary first: cargo build -p mendwright  (`make demo` does)");
        Ok(Self { directory, binary })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Puts a job with its component into the scratch jobs directory.
    pub(crate) fn install(&self, name: &str, files: &[(&str, &str)]) -> Result<()> {
        let to = self.directory.join("jobs").join(name);
        std::fs::create_dir_all(&to)?;
        for (file, text) in files {
            std::fs::write(to.join(file), text)?;
        }
        std::fs::write(to.join(format!("{name}.wasm")), guests::component(name))?;
        Ok(())
    }

    /// Shows a command, runs it, and shows what it prints.
    pub(crate) fn show(&self, words: &[&str]) -> Result<Output> {
        println!("\x1b[1m$ mendwright {}\x1b[0m", words.join(" "));
        let output = self.quiet(words)?;
        println!("{}\n", output.text.trim_end());
        Ok(output)
    }

    /// The same; `expect` is how it must end.
    pub(crate) fn run(&self, words: &[&str], expect: i32) -> Result<Output> {
        let output = self.show(words)?;
        if output.code != expect {
            bail!("`mendwright {}` ended with {} and not with {expect}", words.join(" "), output.code);
        }
        Ok(output)
    }

    /// Runs a command without showing it.
    pub(crate) fn quiet(&self, words: &[&str]) -> Result<Output> {
        let done = Command::new(&self.binary)
            .args(words)
            .current_dir(&self.directory)
            .env("USER", "alice")
            .stdin(Stdio::null())
            .output()
            .with_context(|| self.binary.display().to_string())?;
        let mut text = String::from_utf8_lossy(&done.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&done.stderr));
        Ok(Output { text, code: done.status.code().unwrap_or(-1) })
    }

    /// The digest of a plan, from its JSON.
    pub(crate) fn digest(&self, words: &[&str]) -> Result<String> {
        let output = self.quiet(words)?;
        let json: serde_json::Value = serde_json::from_str(&output.text).context("this is not JSON")?;
        let digest = json.get("digest").and_then(serde_json::Value::as_str).unwrap_or_default();
        let digits = digest.trim_start_matches("sha256:").get(..16).map(ToOwned::to_owned);
        digits.with_context(|| format!("no digest in {}", output.text))
    }

    /// How a person reaches this directory and the binary from the project's root.
    pub(crate) fn seen_from_root(&self) -> (String, String) {
        let relative = |path: &Path| {
            let root = workspace_root();
            path.strip_prefix(&root).unwrap_or(path).display().to_string()
        };
        (relative(&self.directory), format!("../../{}", relative(&self.binary)))
    }
}

/// A heading of the story.
pub(crate) fn say(text: &str) {
    println!("\x1b[36m{text}\x1b[0m\n");
}
