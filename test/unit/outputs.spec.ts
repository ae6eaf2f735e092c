import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import type * as pulumi from "@pulumi/pulumi";
import type * as program from "../../index";
import { jsonSchema, type Outputs } from "../../schema/outputs";
import { root } from "../helpers/program";

/** What the program exports, as the engine prints it. */
type Exported = { [Name in keyof typeof program]: pulumi.Unwrap<NonNullable<(typeof program)[Name]>> };

describe("the contract of the outputs", () => {
    it("is what the program exports, by its types", () => {
        const fits = (exported: Exported): Outputs => exported;
        assert.ok(fits);
    });

    it("is published as this JSON Schema (UPDATE_SNAPSHOTS=1 writes it)", () => {
        const file = path.join(root, "schema/outputs.v1.schema.json");
        const now = `${JSON.stringify(jsonSchema(), null, 4)}\n`;
        if (process.env.UPDATE_SNAPSHOTS) {
            fs.writeFileSync(file, now);
        }
        assert.equal(fs.readFileSync(file, "utf8"), now);
    });
});
