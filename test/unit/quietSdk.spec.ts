import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { root } from "../helpers/program";

/** What a program prints that is run as Pulumi runs one. */
const run = (program: string) =>
    execFileSync("node", ["--require", "ts-node/register/transpile-only", "--eval", program], {
        cwd: root,
        encoding: "utf8",
    });

describe("the SDK's debugging", () => {
    it("keeps the stack of each promise, in places of the source, for whoever asks for it", () => {
        const stack = run(`
            require("./components/quietSdk.ts");
            const { debuggablePromise } = require("@pulumi/pulumi/runtime/debuggable");
            const promise = Promise.resolve();
            void debuggablePromise(promise, "test");
            console.log(typeof promise._debugStackTrace, String(promise._debugStackTrace));
        `);
        assert.match(stack, /^object Error:?\s+at .*debuggablePromise .*debuggable\.[jt]s:\d+/);
    });

    it("leaves the stacks of errors as they are", () => {
        const stack = run(`
            require("./components/quietSdk.ts");
            try { require("./components/names.ts").podName("limits", Symbol()); } catch (error) { console.log(typeof error.stack, error.stack); }
        `);
        const source = fs.readFileSync(path.join(root, "components/names.ts"), "utf8").split("\n");
        const line = 1 + source.findIndex((text) => text.includes("const name ="));
        assert.match(stack, new RegExp(`^string TypeError: [^]* at .*podName \\(\\S+components/names\\.ts:${line}:`));
    });

    it("does not tell the engine where each resource was made", () => {
        const told = run(`
            require("./components/quietSdk.ts");
            const pulumi = require("@pulumi/pulumi");
            const mocks = require("@pulumi/pulumi/runtime/mocks");
            pulumi.runtime.setMocks({ call: () => ({}), newResource: () => ({ id: "x", state: {} }) });
            const { registerResource } = mocks.MockMonitor.prototype;
            mocks.MockMonitor.prototype.registerResource = function (request, done) {
                console.log(request.getType(), request.getStacktrace()?.getFramesList().length ?? 0, request.getSourceposition() ?? "nowhere");
                return registerResource.call(this, request, done);
            };
            new pulumi.ComponentResource("a:b:C", "one");
        `);
        assert.match(told, /^a:b:C 0 nowhere\n/m);
    });

    it("sends the engine nothing that only --debug shows", () => {
        const told = run(`
            require("./components/quietSdk.ts");
            const { log } = require("@pulumi/pulumi");
            const settings = require("@pulumi/pulumi/runtime/settings");
            settings.getEngine = () => ({ log: (request, done) => { console.log(request.getMessage()); done(); } });
            require("@pulumi/pulumi/log").debug("a detail");
            log.warn("a warning");
        `);
        assert.match(told, /^(?:warning: \[runtime\] )?a warning\n$/);
    });
});
