import assert from "node:assert/strict";
import * as fc from "fast-check";
import { parseSettings } from "../../settings";
import { stackSettings } from "../../settings/stack";
import { kinds } from "../walk/changes";
import { classOf, configOf, defaultOf, expected, first, handlersOn, type Settings } from "../walk/model";
import { type Stage, walk } from "../walk/walk";

const releases = { now: "20260905.0", older: "20260824.0" };
const archive = {
    gvisorVersion: releases.now,
    gvisorArchive: "http://10.92.0.1/gvisor.tgz",
    gvisorArchiveSha512: "0".repeat(128),
};

/** As Pulumi hands it to the program. */
const raw = (settings: Settings) =>
    Object.fromEntries(
        Object.entries({ ...configOf(settings, releases, archive), sources: "mirror" }).map(([key, value]) => [
            key,
            typeof value === "string" ? value : JSON.stringify(value),
        ]),
    );

describe("the random walk", () => {
    it("draws settings that the program takes, and knows their handlers and classes", () => {
        const step = fc.tuple(fc.constantFrom(...Object.keys(kinds)), fc.nat({ max: 999 }));
        const met = new Set<string>();
        fc.assert(
            fc.property(fc.array(step, { minLength: 20, maxLength: 40 }), (walk) => {
                const then = [first];
                for (const [kind, pick] of walk) {
                    const now = then.at(-1) ?? first;
                    const ways = kinds[kind]?.ways(now, then) ?? [];
                    const { settings } = ways[pick % ways.length] ?? {};
                    if (settings) {
                        met.add(kind);
                        const parsed = stackSettings(parseSettings(raw(settings)));
                        assert.equal(parsed.defaultHandler, defaultOf(settings));
                        assert.deepEqual(
                            parsed.classes.map(({ handler: { name, runtimeClass } }) => [name, runtimeClass]),
                            Object.keys(settings.handlers)
                                .sort()
                                .map((name) => [name, classOf(settings, name)]),
                        );
                        for (const worker of parsed.workers) {
                            assert.deepEqual(
                                (parsed.forWorker(worker).sandboxes?.handlers ?? []).map(({ name }) => name),
                                handlersOn(settings, worker),
                            );
                        }
                        then.push(settings);
                    }
                }
            }),
        );
        const disturbances = /^(nothing|the drop-in|a pod|an object|a machine|destroy|a change that fails)/;
        assert.deepEqual(
            Object.keys(kinds).filter((kind) => !met.has(kind) && !disturbances.test(kind)),
            [],
        );
    });

    /** A program that is always right, but once there was a second worker never sets a taint again. */
    function forgetful(): Stage {
        let workers = 0;
        return {
            kills: { operator: 0, steps: 0, power: 0 },
            note: () => undefined,
            configure: (settings) => {
                workers = Math.max(workers, settings.workers.length);
            },
            disturb: async () => undefined,
            destroy: async () => "destroy killed",
            cutOff: async () => "up killed",
            fails: async () => undefined,
            up: async () => 0,
            settled: async () => undefined,
            see: (settings) => {
                const seen = expected(settings, releases);
                const nodes = Object.entries(seen.nodes).map(([name, node]) => [
                    name,
                    workers > 1 ? { ...(node as object), taints: [] } : node,
                ]);
                return { ...seen, nodes: Object.fromEntries(nodes) };
            },
            close: () => undefined,
            remove: async () => undefined,
        };
    }

    it("finds what goes wrong only after two steps, and the shortest walk there", async () => {
        const options = { steps: 40, shrink: 1, world: forgetful, say: () => undefined };
        const seeds = [1, 2, 3, 4];
        const walked = await Promise.all(seeds.map((seed) => walk({ ...options, seed })));
        const failures = walked.flatMap(({ failure }) => failure ?? []);
        assert.ok(failures.length > 0, "no walk has found it");
        for (const { report, shortest } of failures) {
            assert.match(report, /taints/);
            assert.ok(shortest.length <= 3, shortest.join("\n"));
            assert.doesNotMatch(shortest.join(" "), /up killed/);
        }
    });

    it("is the same for the same seed, and has as many steps as asked for", async () => {
        const options = { seed: 7, steps: 25, shrink: 0, say: () => undefined };
        const right = () => ({ ...forgetful(), see: (settings: Settings) => expected(settings, releases) });
        const [one, other] = await Promise.all([
            walk({ ...options, world: right }),
            walk({ ...options, world: right }),
        ]);
        assert.equal(one.failure, undefined);
        assert.equal(one.done.said.length, 25);
        assert.deepEqual(one.done.said, other.done.said);
        assert.match(one.done.said.join(" "), /up killed/);
    });
});
