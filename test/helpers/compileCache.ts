import { mkdtempSync, rmSync } from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

/**
 * Where Node keeps what it has compiled for the engine's runs in projects of tests: each would compile the SDKs again. It is
 * not the checkout's own, which would grow by the files of each such project.
 */
export const compileCache = mkdtempSync(path.join(os.tmpdir(), "compiled-"));
process.once("exit", () => rmSync(compileCache, { recursive: true, force: true }));
