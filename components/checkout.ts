import * as path from "node:path";

/** Directory of this repository: scripts are found here, whatever directory the program that uses the components runs in. */
export const checkout = path.resolve(__dirname, "..");

/**
 * `dir` of local commands that run a script: this repository as seen from the program's directory, so that what stands in
 * the state names no place of one computer. None for the repository's own program, which runs here.
 */
export const commandDirectory = path.relative(process.cwd(), checkout) || undefined;
