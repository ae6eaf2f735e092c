// @ts-nocheck
// Times SSH rounds in which a worker says what all of its pods are, by what `npm run check -- --pods` asks it with.
//
// stdin:  fields of a remote Command's connection
// stdout: {"pods": how many there are, "seconds": of each round}
import { text } from "node:stream/consumers";
import { askMachine } from "../cli/pods/machine.ts";

const connection = JSON.parse(await text(process.stdin));
const rounds = [];
for (let i = 0; i < 6; i++) {
    const { pods, seconds, error } = await askMachine({ name: "worker", connection });
    if (error !== undefined) {
        throw new Error(error);
    }
    rounds.push({ pods: pods.length, seconds });
}
const [, ...timed] = rounds; // the first one loads the client
process.stdout.write(JSON.stringify({ pods: timed[0].pods, seconds: timed.map(({ seconds }) => seconds) }));
