// HTML from templates: whatever is put into one is escaped, unless it comes from a template itself.
import { visible } from "../summary.ts";

const escapes: Readonly<Record<string, string>> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
};

export class Markup {
    readonly text: string;

    constructor(text: string) {
        this.text = text;
    }
}

/** What may be put into a template; nothing is shown of what is missing, or false. */
type Value = Markup | string | number | false | undefined | readonly Value[];

function put(value: Value): string {
    if (value instanceof Markup) {
        return value.text;
    }
    if (typeof value === "object") {
        return value.map(put).join("");
    }
    if (value === undefined || value === false) {
        return "";
    }
    return visible(String(value)).replace(/[&<>"']/g, (character: string) => escapes[character] ?? "");
}

/** A template: html`<p>${text}</p>`. */
export function html(strings: TemplateStringsArray, ...values: readonly Value[]): Markup {
    return new Markup(strings.map((part, index) => (index === 0 ? part : put(values[index - 1]) + part)).join(""));
}

/** Markup that this project has written itself. */
export function own(text: string): Markup {
    return new Markup(text);
}
