//! Scripts that complete command lines of `directorctl` in shells. They ask it, so that they know as much as it does:
//! commands, flags, and the names of what runs.

/// A shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// Bash.
    Bash,
    /// Z shell.
    Zsh,
    /// Fish.
    Fish,
}

impl Shell {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
        }
    }
}

/// The script.
#[must_use]
pub const fn completion(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => BASH,
        Shell::Zsh => ZSH,
        Shell::Fish => FISH,
    }
}

/// Bash breaks words at `=` and `:`; what comes before the last of them stays as it is.
const BASH: &str = r#"# bash completion of directorctl; source it, or put it into /usr/share/bash-completion/completions/directorctl
_directorctl() {
    local line=${COMP_LINE:0:COMP_POINT} words word kept
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    kept=${words[-1]}
    kept=${kept%"${kept##*[=:]}"}
    COMPREPLY=()
    while IFS=$'\t' read -r word _; do
        [[ $word == *= ]] && compopt -o nospace
        [[ $word == *[[:space:]]* ]] && printf -v word %q "$word"
        COMPREPLY+=("${word#"$kept"}")
    done < <("${words[0]}" complete "${words[@]:1}" 2> /dev/null)
}
complete -o default -F _directorctl directorctl
"#;

const ZSH: &str = r#"#compdef directorctl
# zsh completion of directorctl; put it as _directorctl into a directory of $fpath.
_directorctl() {
    local line word
    local -a whole open
    while IFS=$'\t' read -r word line; do
        if [[ $word == *= ]]; then open+=("$word"); else whole+=("$word"); fi
    done < <("${words[1]}" complete "${(@)words[2,CURRENT]}" 2> /dev/null)
    if (( ${#whole} + ${#open} )); then
        (( ${#whole} )) && compadd -- "${whole[@]}"
        (( ${#open} )) && compadd -S '' -- "${open[@]}"
    else
        _files
    fi
}
if [[ $zsh_eval_context == *func ]]; then _directorctl "$@"; else compdef _directorctl directorctl; fi
"#;

const FISH: &str = r"# fish completion of directorctl; put it into ~/.config/fish/completions/directorctl.fish
function __directorctl_complete
    set -l words (commandline -opc)
    $words[1] complete $words[2..-1] (commandline -ct) 2>/dev/null
end
complete -c directorctl -f -a '(__directorctl_complete)'
";
