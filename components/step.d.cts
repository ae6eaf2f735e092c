export const resultMark: string;
export function resultIn(stdout: string): string;
/** Where the scripts are that were brought to a machine; only root reads and writes there. */
export const scriptsPlace: string;
/** Exit code of a step that does not find its scripts there. */
export const scriptsLost: number;
/** Quotes a value for a POSIX shell. */
export function shellQuote(value: string): string;
/**
 * What starts root's bash, with a limit in seconds. The limit stands behind sudo: a `timeout` of the user may not signal a sudo that
 * is root, so it would end nothing (https://github.com/sudo-project/sudo/blob/main/src/sudo.c, "Become full root").
 *
 * @param shell how root's bash is started. Default: "bash"
 */
export function limitedShell(shell: string | undefined, timeout: number): string;
/** The command that reads a step from stdin, with a limit in seconds. */
export function stepCall(shell: string | undefined, timeout: number, verb: string): string;
