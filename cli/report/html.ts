// @ts-nocheck
// HTML from templates: whatever is put into one is escaped, unless it comes from a template itself.
import { visible } from "../summary.ts";

const escapes = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

class Markup {
    constructor(text) {
        this.text = text;
    }
    toString() {
        return this.text;
    }
}

function put(value) {
    if (value instanceof Markup) {
        return value.text;
    }
    if (Array.isArray(value)) {
        return value.map(put).join("");
    }
    if (value === undefined || value === null || value === false) {
        return "";
    }
    return visible(String(value)).replace(/[&<>"']/g, (character) => escapes[character]);
}

/** A template: html`<p>${text}</p>`. */
export function html(strings, ...values) {
    return new Markup(strings.map((part, index) => (index === 0 ? part : put(values[index - 1]) + part)).join(""));
}

/** Markup that this project has written itself. */
export function own(text) {
    return new Markup(text);
}
