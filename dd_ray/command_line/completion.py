"""Shell scripts that complete a command with subcommands."""

from collections.abc import Mapping, Sequence

_SCRIPT = """\
_{function}() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" words=""
    if ((COMP_CWORD == 1)); then
        words="{first}"
    elif [[ "$word" != -* ]]; then
        case "$before" in
{values}
        esac
    else
        case "${{COMP_WORDS[1]}}" in
{options}
        *) words="--help" ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _{function} {command}"""
_BASH_IN_ZSH = "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n"


def completion_script(
    command: str,
    shell: str,
    first: Sequence[str],
    options: Mapping[str, Sequence[str]],
    choices: Mapping[str, Sequence[str]],
) -> str:
    """Return a shell script that completes a command; where it knows no words, it completes the names of files.

    Args:
        command: name of the command.
        shell: bash or zsh.
        first: the words that may stand first.
        options: the options of some first words, with their dashes.
        choices: the values of options, by option without its dashes.
    """
    same: dict[str, list[str]] = {}
    for name, own in options.items():
        same.setdefault(" ".join((*own, "--help")), []).append(name)
    script = _SCRIPT.format(
        command=command,
        function=command.replace("-", "_"),
        first=" ".join(first),
        values="\n".join(f'        --{name}) words="{" ".join(of)}" ;;' for name, of in choices.items() if of),
        options="\n".join(f'        {"|".join(names)}) words="{own}" ;;' for own, names in same.items()),
    )
    return f"{_BASH_IN_ZSH if shell == 'zsh' else ''}{script}"
