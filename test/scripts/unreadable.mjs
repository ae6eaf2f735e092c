// Runs in the browser, in a window that holds all of the page.

/** What of a page cannot be read: text with a contrast below 4.5 (WCAG 2.2, 1.4.3), or smaller than 11 px. */
export function unreadable() {
    const numbers = (colour) => (colour.match(/[\d.]+/g) ?? []).map(Number);
    const light = (colour) =>
        [0.2126, 0.7152, 0.0722].reduce((sum, weight, index) => {
            const part = numbers(colour)[index] / 255;
            return sum + weight * (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        }, 0);
    const solid = (colour) => colour !== "none" && (numbers(colour)[3] ?? 1) > 0;
    const behind = (x, y) => {
        for (const element of document.elementsFromPoint(x, y)) {
            const { fill, backgroundColor } = getComputedStyle(element);
            if (element.matches("rect, path") && solid(fill)) {
                return fill;
            }
            if (element instanceof HTMLElement && solid(backgroundColor)) {
                return backgroundColor;
            }
        }
        return "rgb(0, 0, 0)";
    };
    const complaint = (text) => {
        const parent = text.parentElement;
        const range = document.createRange();
        range.selectNodeContents(text);
        const [box] = range.getClientRects();
        const style = getComputedStyle(parent);
        const drawing = parent.closest("svg");
        const scale = drawing ? drawing.getBoundingClientRect().width / drawing.viewBox.baseVal.width : 1;
        if (!box || box.width === 0) {
            return "not shown";
        }
        const edges = drawing?.getBoundingClientRect();
        if (edges && (box.left < edges.left || box.right > edges.right)) {
            return "cut off";
        }
        // Only the longest of kernels are set smaller, to fit into the drawing; the page shows them again below.
        const size = Number.parseFloat(style.fontSize) * scale;
        if (size < 11 && !(drawing && text.textContent.length > 30)) {
            return `${size.toFixed(1)} px`;
        }
        const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
        const frame = parent.closest(".scroll, .evidence, pre")?.getBoundingClientRect();
        if (frame && (x < frame.left || x > frame.right || y < frame.top || y > frame.bottom)) {
            return undefined; // It is there once its frame is scrolled.
        }
        const [ink, paper] = [light(drawing ? style.fill : style.color), light(behind(x, y))];
        const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
        return contrast < 4.5 ? `contrast ${contrast.toFixed(2)}` : undefined;
    };
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const text = walker.currentNode;
        if (text.textContent.trim() !== "" && !text.parentElement.closest(".unseen, title, desc, style")) {
            const said = complaint(text);
            found.push(...(said === undefined ? [] : [`${text.textContent.trim()}: ${said}`]));
        }
    }
    return found;
}
