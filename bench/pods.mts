// Times SSH rounds in which a worker says what all of its pods are, by what `npm run check -- --pods` asks it with.
//
// stdin:  fields of a remote Command's connection
// stdout: {"pods": how many there are, "seconds": of each round}
import { text } from "node:stream/consumers";
import { askMachine } from "../cli/pods/machine.ts";

type Connection = Parameters<typeof askMachine>[0]["connection"];

const connection: Connection = JSON.parse(await text(process.stdin));
const rounds: { pods: number; seconds: number }[] = [];
for (let i = 0; i < 6; i++) {
    const answer = await askMachine({ name: "worker", connection, shell: undefined });
    if (!("pods" in answer)) {
        throw new Error(answer.error);
    }
    rounds.push({ pods: answer.pods.length, seconds: answer.seconds });
}
const timed = rounds.slice(1); // the first one loads the client
process.stdout.write(JSON.stringify({ pods: timed.at(-1)?.pods, seconds: timed.map(({ seconds }) => seconds) }));
