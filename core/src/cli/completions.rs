//! The command line of `corelane completions`.

use clap::Args;
use clap_complete::Shell;

/// Options of `corelane completions`.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "Examples:
  source <(corelane completions bash)
  corelane completions zsh > ~/.zfunc/_corelane
  corelane completions fish > ~/.config/fish/completions/corelane.fish")]
pub struct CompletionsOptions {
    /// The shell
    pub shell: Shell,
}
