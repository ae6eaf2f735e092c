// Each message of docs/troubleshooting.md is one that the program can still say.
import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";

const root = path.resolve(__dirname, "../..");

interface Row {
    readonly line: number;
    readonly message: string;
    readonly cells: readonly string[];
}

/** Rows of the page's tables whose first cell is a message: code, with "…" for what differs from case to case. */
const rows: Row[] = fs
    .readFileSync(path.join(root, "docs/troubleshooting.md"), "utf8")
    .split("\n")
    .flatMap((text, index) => {
        const message = /^\| `([^`]+)` \|/.exec(text)?.[1];
        return message === undefined ? [] : [{ line: index + 1, message, cells: text.split("|").slice(1, -1) }];
    });

/** Texts of the sources, with literals that are added to each other as one. */
const sources = ["components", "plugins", "policy-pack", "scripts", "cli", "mirror", "settings"]
    .map((name) => path.join(root, name))
    .flatMap((place) =>
        fs.statSync(place).isDirectory()
            ? fs.readdirSync(place, { recursive: true, encoding: "utf8" }).map((name) => path.join(place, name))
            : [place],
    )
    .filter((file) => /\.(ts|mjs|cjs|sh)$/.test(file))
    .map((file) => fs.readFileSync(file, "utf8").replace(/["'`]\s*\+\s*["'`]/g, ""));

const literal = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** Whether one file holds all fixed parts of a message, in their order and close to each other. */
function isSaid(message: string): boolean {
    const parts = message.split("…").filter((part) => part.trim() !== "");
    // Quotes are escaped in shell.
    const pattern = parts.map((part) => literal(part).replaceAll('"', '\\\\?"')).join("[\\s\\S]{1,160}?");
    return sources.some((text) => new RegExp(pattern).test(text));
}

describe("troubleshooting", () => {
    it("quotes only messages that the sources still hold", () => {
        assert.deepEqual(
            rows.filter(({ message }) => !isSaid(message)).map(({ line, message }) => `line ${line}: ${message}`),
            [],
        );
    });

    it("finds out a message that nobody says any more", () => {
        assert.equal(isSaid("gVisor cannot run on … as it is; everything was changed there"), false);
    });

    it("says cause and remedy of each, once", () => {
        assert.ok(rows.length >= 30, `${rows.length} messages`);
        for (const { line, cells } of rows) {
            assert.equal(cells.length, 3, `line ${line}`);
            assert.ok(
                cells.every((cell) => cell.trim().length > 5),
                `line ${line}`,
            );
        }
        const messages = rows.map(({ message }) => message);
        assert.deepEqual(messages, [...new Set(messages)]);
    });

    it("has no message that is too short to be recognised", () => {
        const short = rows.filter(({ message }) => message.split("…").every((part) => part.trim().length < 11));
        assert.deepEqual(
            short.map(({ message }) => message),
            [],
        );
    });
});
