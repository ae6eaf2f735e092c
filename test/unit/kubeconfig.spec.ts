import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { dump, load } from "js-yaml";
import { KubeconfigError, ownKubeconfig } from "../../components/targets/existing/kubeconfig";

describe("a kubeconfig", () => {
    const entry = (name: string) => ({
        context: { name, context: { cluster: `cluster-${name}`, user: `user-${name}`, namespace: "apps" } },
        cluster: {
            name: `cluster-${name}`,
            cluster: { server: `https://${name}:6443`, "certificate-authority-data": "Q0E=" },
        },
        user: { name: `user-${name}`, user: { token: `token-${name}` } },
    });
    const config = (...names: string[]) => {
        const entries = names.map(entry);
        return {
            apiVersion: "v1",
            kind: "Config",
            "current-context": names[0],
            contexts: entries.map(({ context }) => context),
            clusters: entries.map(({ cluster }) => cluster),
            users: entries.map(({ user }) => user),
        };
    };
    let directory: string;
    before(() => {
        directory = fs.mkdtempSync(path.join(os.tmpdir(), "kubeconfig-"));
        fs.mkdirSync(path.join(directory, "pki"));
        for (const name of ["ca.crt", "admin.crt", "admin.key"]) {
            fs.writeFileSync(path.join(directory, "pki", name), `text of ${name}`);
        }
        fs.writeFileSync(path.join(directory, "token"), "secret\n");
    });
    after(() => fs.rmSync(directory, { recursive: true }));

    it("that holds one context and no path is kept to the letter", () => {
        const text = `# made by hand\n${dump(config("lab"))}`;
        assert.equal(ownKubeconfig(text, {}), text);
        // As kubeadm and kubectl write it.
        const sorted = dump({ ...config("lab"), preferences: {} }, { sortKeys: true });
        assert.match(sorted, /^ +- cluster:\n[\s\S]*\n +name: cluster-lab$/m);
        assert.equal(ownKubeconfig(sorted, {}), sorted);
    });

    it("is kept without other clusters and their credentials", () => {
        const text = dump(config("lab", "production"));
        assert.deepEqual(JSON.parse(ownKubeconfig(text, {})), config("lab"));
        assert.deepEqual(JSON.parse(ownKubeconfig(text, { context: "production" })), config("production"));
        assert.doesNotMatch(ownKubeconfig(text, {}), /token-production/);
    });

    it("holds what it points at, by paths from its own file, and a server without a slash at its end", () => {
        const lab = config("lab");
        const text = dump({
            ...lab,
            clusters: [
                {
                    name: "cluster-lab",
                    cluster: { server: "https://lab:6443/", "certificate-authority": "pki/ca.crt" },
                },
            ],
            users: [
                {
                    name: "user-lab",
                    user: {
                        "client-certificate": "pki/admin.crt",
                        "client-key": path.join(directory, "pki/admin.key"),
                        tokenFile: "token",
                    },
                },
            ],
        });
        const base64 = (name: string) => Buffer.from(`text of ${name}`).toString("base64");
        assert.deepEqual(load(ownKubeconfig(text, { directory })), {
            ...lab,
            clusters: [
                {
                    name: "cluster-lab",
                    cluster: { server: "https://lab:6443", "certificate-authority-data": base64("ca.crt") },
                },
            ],
            users: [
                {
                    name: "user-lab",
                    user: {
                        "client-certificate-data": base64("admin.crt"),
                        "client-key-data": base64("admin.key"),
                        token: "secret",
                    },
                },
            ],
        });
    });

    it("gives what kubectl would take where a file and its contents are both given, and finds a command beside itself", () => {
        const lab = config("lab");
        const user = {
            "client-certificate-data": "Q0VSVA==",
            "client-certificate": "gone.crt",
            token: "old",
            tokenFile: "token",
            exec: { command: "./bin/login", args: ["x"] },
        };
        const text = dump({ ...lab, users: [{ name: "user-lab", user }] });
        const { users } = load(ownKubeconfig(text, { directory })) as { users: { user: object }[] };
        assert.deepEqual(users[0]?.user, {
            "client-certificate-data": "Q0VSVA==",
            token: "secret",
            exec: { command: path.join(directory, "bin/login"), args: ["x"] },
        });
        const plain = dump({ ...lab, users: [{ name: "user-lab", user: { exec: { args: ["x"], command: "aws" } } }] });
        assert.equal(ownKubeconfig(plain, { directory }), plain);
    });

    it("is refused with all that is wrong with it, and without its text", () => {
        const lab = config("lab");
        const wrong = (what: object) => dump({ ...lab, ...what });
        for (const [text, context, said] of [
            ["a: [", undefined, /^is not YAML \(line \d+\)$/],
            ["token: 'abc\n", undefined, /^is not YAML/],
            ["[]", undefined, /^is not a kubeconfig/],
            ["", undefined, /^is not YAML$/],
            [dump(lab), "prod", /^has no context "prod"; its contexts are lab\. Set existing\.context to one of them$/],
            [wrong({ "current-context": undefined }), undefined, /^has no context ""; its contexts are lab/],
            [wrong({ contexts: [] }), undefined, /^has no context "lab"; its contexts are none/],
            [wrong({ users: [] }), undefined, /^names the user "user-lab" in its context lab, which it does not hold$/],
            [
                wrong({
                    clusters: [{ name: "cluster-lab", cluster: { "certificate-authority": "gone.crt" } }],
                    users: [],
                }),
                undefined,
                /^names the file "gone\.crt" as certificate-authority, which cannot be read \(ENOENT\); it names the user/,
            ],
        ] as const) {
            assert.throws(
                () => ownKubeconfig(text, { context }),
                (error: Error) =>
                    error instanceof KubeconfigError && said.test(error.message) && !/abc/.test(error.message),
                text,
            );
        }
    });
});
