import assert from "node:assert/strict";
import { type SpawnSyncReturns, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { shellQuote } from "../../components/step.cjs";
import { eventually } from "../helpers/eventually";

const library = path.resolve(__dirname, "../../scripts/on-machine/lib.sh");

/** Runs bash with the library loaded. */
function bash(script: string, input = "", environment: Record<string, string> = {}): SpawnSyncReturns<string> {
    return spawnSync("bash", ["-c", `source ${shellQuote(library)}\n${script}`], {
        input,
        encoding: "utf8",
        env: { ...process.env, ...environment },
    });
}

/** What a script prints; it must succeed. */
function printed(script: string, input = "", environment: Record<string, string> = {}): string {
    const { status, stdout, stderr } = bash(script, input, environment);
    assert.equal(status, 0, stderr);
    return stdout;
}

describe("scripts/on-machine/lib.sh", () => {
    let scratch: string;
    beforeEach(() => {
        scratch = fs.mkdtempSync(path.join(os.tmpdir(), "lib-"));
    });
    afterEach(() => {
        fs.rmSync(scratch, { recursive: true });
    });
    const at = (...parts: string[]) => path.join(scratch, ...parts);
    const read = (file: string) => fs.readFileSync(file, "utf8");

    describe("write_if_changed", () => {
        const write = (file: string, content: string, mode = "644") =>
            bash(
                `write_if_changed ${shellQuote(file)} ${mode}; [[ $changed == yes ]] && echo changed || echo unchanged`,
                content,
            );

        it("writes a new file with its mode, and the directories above it", () => {
            const file = at("etc", "conf.d", "a file.toml");
            const { stdout, stderr } = write(file, "one\n", "600");
            assert.equal(stdout, "changed\n");
            assert.match(stderr, new RegExp(`: changed ${file}\n$`));
            assert.equal(read(file), "one\n");
            assert.equal(fs.statSync(file).mode & 0o7777, 0o600);
            assert.deepEqual(fs.readdirSync(path.dirname(file)), ["a file.toml"]);
        });

        it("leaves a file alone that holds the same", () => {
            const file = at("file");
            write(file, "same\n");
            const { ino, mtimeMs } = fs.statSync(file);
            const again = write(file, "same\n");
            assert.deepEqual([again.stdout, again.stderr], ["unchanged\n", ""]);
            assert.deepEqual([fs.statSync(file).ino, fs.statSync(file).mtimeMs], [ino, mtimeMs]);
            assert.deepEqual(fs.readdirSync(scratch), ["file"]);
        });

        it("sees a change of one byte at the end, and writes an empty file", () => {
            const file = at("file");
            write(file, "same\n");
            assert.equal(write(file, "same").stdout, "changed\n");
            assert.equal(read(file), "same");
            assert.equal(write(file, "").stdout, "changed\n");
            assert.equal(read(file), "");
        });

        it("leaves the old file whole when it is killed half-way, and works when it is run again", async () => {
            const file = at("file");
            write(file, "old\n");
            const child = spawn(
                "bash",
                ["-c", `source ${shellQuote(library)}; write_if_changed ${shellQuote(file)} 644`],
                {
                    stdio: ["pipe", "ignore", "inherit"],
                    detached: true,
                },
            );
            child.stdin.write("half of the new");
            const half = () =>
                fs.readdirSync(scratch).some((name) => name !== "file" && read(at(name)) === "half of the new");
            await eventually("the new file to be begun", half, 30_000);
            const exited = once(child, "exit");
            process.kill(-Number(child.pid), "SIGKILL");
            await exited;
            assert.equal(read(file), "old\n");
            assert.equal(write(file, "new\n").stdout, "changed\n");
            assert.equal(read(file), "new\n");
        });
    });

    it("write_if_changed fails and leaves the old file whole when the new one does not fit on the disk", () => {
        fs.writeFileSync(at("file"), "old\n");
        // A limit on the size of files stands for a full disk. So it is in a condition too, where errexit is off.
        const { status, stdout, stderr } = bash(
            `ulimit -f 1; write_if_changed ${shellQuote(at("file"))} 644 && echo changed`,
            "x".repeat(5000),
        );
        assert.equal(status, 1);
        assert.equal(stdout, "");
        assert.match(stderr, new RegExp(`: error: .*${at("file")}`));
        assert.equal(read(at("file")), "old\n");
        assert.deepEqual(fs.readdirSync(scratch), ["file"]);
    });

    describe("the environment that a login gives a step", () => {
        const odd = {
            PATH: `${process.env.PATH}:/opt/bin`, // of some machines, but their sudo knows no /usr/local/bin
            TMPDIR: "/nowhere",
            http_proxy: "http://127.0.0.1:2",
            no_proxy: "10.0.0.1",
        };

        it("gives it no umask: what others have to read they can", () => {
            const { stdout } = spawnSync("bash", ["-c", `umask 077; source ${shellQuote(library)}; umask`], {
                encoding: "utf8",
            });
            assert.equal(stdout, "0022\n");
        });

        it("gives it no place for temporary files", () => {
            assert.match(printed("file=$(mktemp); echo $file; rm $file", "", odd), /^\/tmp\//);
        });

        it("adds to where programs are looked for, in the order of containerd's unit, and takes nothing away", () => {
            const usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
            assert.equal(
                printed("echo $PATH", "", { PATH: "/bin:/usr/bin:/opt/bin" }),
                `${usual}:/bin:/usr/bin:/opt/bin\n`,
            );
        });

        it("sends nothing that is for the machine itself through its proxy", () => {
            const { stderr } = bash("curl --silent --show-error --max-time 5 http://127.0.0.1:1/", "", odd);
            assert.match(stderr, /127\.0\.0\.1 port 1\b/);
            assert.equal(printed("echo $no_proxy", "", odd), "10.0.0.1,localhost,127.0.0.1,::1\n");
            assert.equal(printed("echo $no_proxy", "", { no_proxy: "", NO_PROXY: "b" }), "b,localhost,127.0.0.1,::1\n");
        });
    });

    describe("wait_until", () => {
        it("returns as soon as the command succeeds, silently", () => {
            const counter = at("counter");
            const { status, stdout, stderr } = bash(
                `try() { echo x >>${shellQuote(counter)}; [[ $(wc -l <${shellQuote(counter)}) == 3 ]]; }\n` +
                    "wait_until 20 'the third try' try",
            );
            assert.deepEqual([status, stdout, stderr], [0, "", ""]);
            assert.equal(read(counter), "x\nx\nx\n");
        });

        it("past the limit names what it waited for, the limit and the last answer", () => {
            const { status, stderr } = bash(
                'try() { echo "not ready, $((SECONDS)) s"; echo "said aloud" >&2; return 1; }\nwait_until 1 "the moon" try; echo on',
            );
            assert.equal(status, 1);
            assert.match(stderr, /: error: waited 1 s for the moon; last answer: not ready, \d+ s\nsaid aloud\n$/);
        });

        it("says so when there was no answer", () => {
            const { status, stderr } = bash("wait_until 0 'the moon' false");
            assert.equal(status, 1);
            assert.match(stderr, /: error: waited 0 s for the moon; last answer: none\n$/);
        });
    });

    describe("attempt", () => {
        it("ends a command at its first failure, whose code it leaves, and goes on", () => {
            const script = "work() { echo first; (exit 3); echo second; }";
            assert.equal(printed(`${script}\nattempt work; echo $status`), "first\n3\n");
            assert.equal(printed("work() { echo done; }\nattempt work; echo $status"), "done\n0\n");
        });

        it("leaves errexit on", () => {
            const { status, stdout } = bash("attempt false; false; echo on");
            assert.deepEqual([status, stdout], [1, ""]);
        });
    });

    describe("poll", () => {
        it("fails when its time is over, and leaves what the command has set", () => {
            const try_ = "try() { tries=$((tries + 1)); ((tries == 3)); }; tries=0";
            assert.equal(printed(`${try_}; poll 20 try; echo $tries`), "3\n");
            assert.equal(printed("poll 0 false || echo over"), "over\n");
        });
    });

    describe("json_object", () => {
        it("has texts and documents in order, whatever is in them", () => {
            const text = 'a "b" = \\ c:=\n';
            const members = `text=${shellQuote(text)} none= list:='["a"]' number:=3 inner:="$(json_object a:=null)" ${shellQuote('k"=v')}`;
            const object = JSON.parse(printed(`json_object ${members}`)) as object;
            const wanted = { text, none: "", list: ["a"], number: 3, inner: { a: null }, 'k"': "v" };
            assert.deepEqual(Object.entries(object), Object.entries(wanted));
            assert.equal(printed("json_object"), "{}\n");
        });
    });

    describe("json_string", () => {
        for (const [title, text] of Object.entries({
            nothing: "",
            quotes: `"it's" \\"quoted\\"`,
            backslashes: "\\ \\\\ \\n \\u0041 end\\",
            lines: "first\nsecond\r\n\tthird",
            "what a shell or sed takes apart": "& $HOME `id` $(id) * %s %d !",
            unicode: "Grüße, 世界, 🦀, \u2028",
            "a dmesg": "[    0.000000] Starting gVisor...\n[    2.771003] Ready!",
        })) {
            it(`is read back by JSON.parse: ${title}`, () => {
                assert.equal(JSON.parse(printed(`json_string ${shellQuote(text)}`)), text);
            });
        }

        it("drops the control characters that JSON forbids", () => {
            const controls = Array.from({ length: 31 }, (_, index) => String.fromCharCode(index + 1)).join("");
            assert.equal(JSON.parse(printed(`json_string ${shellQuote(`<${controls}\u007f>`)}`)), "<\t\n\r>");
        });

        it("takes a text of 400 kB", () => {
            const text = `${'a "line"\n'.repeat(40_000)}end`;
            assert.equal(JSON.parse(printed('json_string "$(cat)"', text)), text);
        });
    });

    describe("installed_version", () => {
        it("agrees with dpkg about the packages of this machine", () => {
            const { stdout } = spawnSync(
                "dpkg-query",
                // biome-ignore lint/suspicious/noTemplateCurlyInString: it is dpkg's
                ["--show", "--showformat=${db:Status-Status} ${Package} ${Version}\n", "bash", "coreutils", "dpkg"],
                { encoding: "utf8" },
            );
            const rows = stdout.trim().split("\n");
            assert.equal(rows.length, 3);
            for (const row of rows) {
                const [status, name, version] = row.split(" ");
                assert.equal(status, "installed");
                assert.equal(printed(`installed_version ${name}`), version);
            }
        });

        it("knows held packages, and takes none that is only half there", () => {
            const entry = (name: string, status: string) =>
                `Package: ${name}\nStatus: ${status}\nArchitecture: all\nMaintainer: nobody\nVersion: 1:2.0-3~deb12\nDescription: x\n`;
            fs.writeFileSync(
                at("status"),
                [
                    entry("held", "hold ok installed"),
                    entry("removed", "deinstall ok config-files"),
                    entry("unpacked", "install ok unpacked"),
                    entry("broken", "install ok half-installed"),
                ].join("\n"),
            );
            const ask = (name: string) =>
                bash(`installed_version ${name} || true`, "", { DPKG_ADMINDIR: scratch }).stdout;
            assert.equal(ask("held"), "1:2.0-3~deb12");
            assert.deepEqual(["removed", "unpacked", "broken", "unknown"].map(ask), ["", "", "", ""]);
        });

        it("lets a script go on that asks for a package which is not installed", () => {
            assert.equal(printed('found=$(installed_version no-such-package); echo "[$found]"'), "[]\n");
        });
    });

    describe("fetch", () => {
        it("brings a file, and names what it cannot bring", () => {
            fs.writeFileSync(at("there"), "content");
            printed(`fetch file://${at("there")} ${at("here")}`);
            assert.equal(read(at("here")), "content");
            const { status, stderr } = bash(`fetch file://${at("absent")} ${at("here")}; echo on >&2`);
            assert.equal(status, 1);
            assert.match(
                stderr,
                new RegExp(
                    `: error: cannot fetch file://${at("absent")}; check that this machine reaches it, ` +
                        "or set the sources to a mirror\n$",
                ),
            );
        });
    });
});
