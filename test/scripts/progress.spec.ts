import assert from "node:assert/strict";
import * as path from "node:path";
import { mock } from "node:test";

describe("progress of the steps of a first run", () => {
    let said: string;

    const pass = (seconds: number) => {
        for (let second = 0; second < seconds; second++) {
            mock.timers.tick(1000);
        }
    };

    afterEach(() => mock.timers.reset());

    it("says what is left to do and how long that takes, by the machine's own pace", async () => {
        mock.timers.enable({ apis: ["Date", "setInterval"] });
        const { Progress, expectSteps, longSteps } = await import(path.join(__dirname, "../../cli/progress.ts"));
        said = "";
        const progress = new Progress({ write: (text: string) => (said += text) });
        const { cli, languageHost, sources } = longSteps;
        expectSteps([cli, sources]);
        // Three times as long as usual.
        await progress.step(cli, async (say: (detail: string) => void) => {
            say("compiling");
            pass(750);
        });
        const left = Number(/to do: sources of packages and images, about (\d+) min left\n$/.exec(said)?.[1]);
        assert.match(said, /^pulumi, built .* \.\.\. 15 s: compiling, about 1\d min left$/m);
        assert.ok(left >= 25, said);
        said = "";
        await progress.step(sources, async (say: (detail: string) => void) => {
            say("step 3 of 9 done, building etcd");
            pass(2400);
        });
        assert.match(said, /images \.\.\. 20 min 00 s: step 3 of 9 done, building etcd, about \d+ min left\n/);
        assert.match(said, /images: done \(40 min 00 s\)\n$/);
        said = "";
        await progress.step(languageHost, async () => undefined);
        assert.match(said, /module: done \(0\.0 s\)\n$/);
    });

    it("counts the workers that a rollout has proven, and says how long the others take", async () => {
        mock.timers.enable({ apis: ["Date", "setInterval"] });
        const { Progress } = await import(path.join(__dirname, "../../cli/progress.ts"));
        const { UpdateView } = await import(path.join(__dirname, "../../cli/view.ts"));
        said = "";
        const view = new UpdateView(40, new Progress({ write: (text: string) => (said += text) }));
        const ended = (op: string, name: string) =>
            view.take({
                resOutputsEvent: { metadata: { op, urn: `urn:pulumi:a::b::command:local:Command::${name}` } },
            });
        ended("same", "worker-1-proven");
        pass(60);
        ended("create", "worker-2-proven");
        ended("delete", "worker-9-proven");
        ended("create", "worker-3-ready");
        assert.equal(said, "2 of 40 workers proven, about 38 min left\n");
    });

    it("says nothing of what takes a moment, where that is asked for", async () => {
        mock.timers.enable({ apis: ["Date", "setTimeout", "setInterval"] });
        const { Progress } = await import(path.join(__dirname, "../../cli/progress.ts"));
        said = "";
        const progress = new Progress({ write: (text: string) => (said += text) });
        await progress.step("quick", async () => mock.timers.tick(400), { after: 500 });
        assert.equal(said, "");
        await progress.step("slow", async () => mock.timers.tick(2000), { after: 500 });
        assert.equal(said, "slow ...\nslow: done (2.0 s)\n");
    });
});
