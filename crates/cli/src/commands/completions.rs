use clap::CommandFactory;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  source <(c7n completions bash)
  c7n completions zsh > \"${fpath[1]}/_c7n\"
  c7n completions fish > ~/.config/fish/completions/c7n.fish")]
pub struct Completions {
    shell: clap_complete::Shell,
}

pub fn run(completions: &Completions) {
    let mut command = super::Arguments::command();
    clap_complete::generate(completions.shell, &mut command, "c7n", &mut std::io::stdout());
}
