// The picture of a run, made of what a command prints.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as path from "node:path";

const root = path.resolve(__dirname, "../..");

describe("bench/recording.mts", () => {
    it("shows each line when it came, as text, and says how much faster", () => {
        const lines = Array.from({ length: 30 }, (_, index) => `step-${index}: done <${index}>`);
        const input = ["worker ...", ...lines, "  ✓ all & more", "verdict: PROVEN on every worker"].join("\n");
        const svg = execFileSync(process.execPath, ["bench/recording.mts", "npm run up"], {
            cwd: root,
            input,
            stdio: ["pipe", "pipe", "ignore"],
            encoding: "utf8",
        });
        assert.equal(
            svg.match(/<text class="(typed|plain|good)"/g)?.length,
            33,
            "without the line of a step that begins",
        );
        assert.match(
            svg,
            /^<text class="plain" y="18" style="animation-duration:[\d.]+s">step-0: done &lt;0&gt;<\/text>$/m,
        );
        assert.match(svg, /<text class="good" .*>verdict: PROVEN on every worker<\/text>/);
        assert.match(svg, /all &amp; more/);
        assert.match(svg, /\.all\{transform:translateY\(-162px\)/, "the last lines are in sight");
    });
});
