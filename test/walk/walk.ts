// A random walk over the settings of a stack, and over what may happen to it: after each step all is as a model says.
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { beginnings, kinds, type Way } from "./changes";
import { expected, first, handlersOn, type Settings } from "./model";
import { type Cut, releases, type World } from "./world";

/** What is walked over. */
export type Stage = Pick<World, keyof World>;

/** Where the model stands. */
interface Place {
    /** Settings of each step so far, the last ones are those of now; empty where there is no stack yet. */
    readonly settings: Settings[];
    readonly limit: number;
    steps: number;
}

/** What was done, step by step. */
interface Done {
    readonly said: string[];
    readonly kinds: string[];
    readonly kills: World["kills"];
}

/** How long an `up` has taken, in seconds, by kind of change: where it is cut off is spread over all of it. */
const usual = new Map<string, number>();
const firstUp = "up from nothing";
const firstSeconds = 50;

class Step implements fc.AsyncCommand<Place, Stage> {
    constructor(
        private readonly kind: string,
        private readonly pick: number,
        private readonly cut: Cut | null,
        private readonly done: () => Done,
        private readonly say: (line: string) => void,
    ) {}

    private way({ settings }: Place): Way | undefined {
        const now = settings.at(-1);
        // Whatever was drawn for the first step: there is nothing to change yet.
        const ways = now ? (kinds[this.kind]?.ways(now, settings) ?? []) : beginnings;
        return ways[this.pick % ways.length];
    }

    public check(place: Readonly<Place>): boolean {
        return place.steps < place.limit && this.way(place) !== undefined;
    }

    public async run(place: Place, world: Stage): Promise<void> {
        const way = this.way(place);
        assert.ok(way);
        const now = place.settings.at(-1) ?? first;
        const wanted = way.settings ?? now;
        const fresh = place.settings.length === 0 || way.destroy;
        const kind = fresh ? firstUp : this.kind;
        const { said, kinds: drawn } = this.done();
        drawn.push(place.settings.length === 0 ? firstUp : this.kind);
        const index = said.push(way.what) - 1;
        world.note(`step ${++place.steps}: ${way.what}`);

        await world.disturb(way);
        world.configure(wanted, way.fails?.config);
        const machines = [...new Set([...now.workers, ...wanted.workers])];
        const seconds = usual.get(kind) ?? (fresh ? firstSeconds : (kinds[kind]?.seconds ?? 0));
        let hit = "";
        if (way.destroy) {
            hit = await world.destroy(this.cut, machines);
        } else if (this.cut) {
            hit = await world.cutOff("up", this.cut, machines, seconds);
        }
        said[index] += hit === "" ? "" : ` (${hit})`;
        if (way.fails) {
            await world.fails(way.fails.because);
            world.configure(wanted);
        }
        const taken = await world.up(wanted.workers.filter((worker) => handlersOn(wanted, worker).length > 0));
        if (hit === "" && !way.fails) {
            usual.set(kind, taken);
        }
        await world.settled();
        assert.deepEqual(world.see(wanted), expected(wanted, releases));
        this.say(`  ${place.steps}. ${said[index]}: up ${taken.toFixed(0)} s, and all is as it should be`);
        place.settings.push(wanted);
    }

    public toString(): string {
        const { side, at, machine } = this.cut ?? {};
        return `${this.kind} #${this.pick}${side ? `, cut: ${side} ${machine} at ${at}` : ""}`;
    }
}

interface WalkOptions {
    readonly seed: number;
    readonly steps: number;
    /** Of how many steps one is left in peace. Default: 4. */
    readonly peace?: number;
    /** For how many minutes after a failure a shorter walk is looked for that fails too. */
    readonly shrink: number;
    /** Whether the stack of a failure stays, to be looked at. */
    readonly keep?: boolean;
    /** A stack that does not exist yet. */
    readonly world: () => Stage;
    /** Takes a line for people. */
    readonly say: (line: string) => void;
    /** Of fast-check's report of a failure: only the walk that it is about. */
    readonly path?: string;
    readonly replayPath?: string;
}

export interface Walked {
    /** The walk of the seed. */
    readonly done: Done;
    readonly failure?: { readonly report: string; readonly shortest: readonly string[] };
}

/** Walks; a failure is shrunk to the shortest walk that still fails, as far as the time goes. */
export async function walk(options: WalkOptions): Promise<Walked> {
    const { seed, steps, shrink, peace = 4, keep = false, world: worldOf, say, path, replayPath } = options;
    let done: Done = { said: [], kinds: [], kills: { operator: 0, steps: 0, power: 0 } };
    let whole: Done | undefined;
    let shortest: readonly string[] = [];
    let deadline = Number.POSITIVE_INFINITY;

    const cut = fc.record({
        side: fc.constantFrom(...(["operator", "operator", "operator", "steps", "steps", "power"] as const)),
        at: fc.integer({ min: 0, max: 99 }).map((percent) => percent / 100),
        machine: fc.nat({ max: 11 }),
    });
    // A shorter walk has fewer steps, and fewer of them are cut off: each try takes minutes.
    const change = fc.tuple(fc.constantFrom(...Object.keys(kinds)), fc.nat({ max: 999 }));
    const step = fc
        .tuple(fc.noShrink(change), fc.option(fc.noShrink(cut), { freq: peace - 1 }))
        .map(([[kind, pick], where]) => new Step(kind, pick, where, () => done, say));

    const property = fc.asyncProperty(
        // Some steps are not possible where they come.
        fc.commands([step], { maxCommands: 3 * steps, size: "max", ...(replayPath ? { replayPath } : {}) }),
        async (commands) => {
            // The length is drawn too: one that is long enough, unless it is a part of a walk that has failed.
            fc.pre(whole !== undefined || path !== undefined || [...commands].length >= 2 * steps);
            if (Date.now() > deadline) {
                return;
            }
            const world = worldOf();
            done = { said: [], kinds: [], kills: world.kills };
            say(whole ? "a shorter walk:" : `seed ${seed}:`);
            try {
                const place: Place = { settings: [], limit: steps, steps: 0 };
                await fc.asyncModelRun(() => ({ model: place, real: world }), commands);
            } catch (error) {
                say(`  ${done.said.length}. ${done.said.at(-1)}: FAILED\n${(error as Error).message}`);
                shortest = done.said;
                if (whole === undefined) {
                    deadline = Date.now() + shrink * 60_000;
                }
                whole ??= done;
                if (keep) {
                    world.close();
                } else {
                    await world.remove().catch((other: Error) => {
                        say(`it cannot be removed: ${other.message}`);
                        deadline = 0;
                    });
                }
                throw error;
            }
            whole ??= done;
            await world.remove();
        },
    );
    const details = await fc.check(property, {
        seed,
        numRuns: 1,
        endOnFailure: keep || shrink === 0,
        ...(path === undefined ? {} : { path }),
    });
    const report = await fc.asyncDefaultReportMessage(details);
    return { done: whole ?? done, ...(report === undefined ? {} : { failure: { report, shortest } }) };
}
