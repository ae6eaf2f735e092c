// @ts-nocheck
// What TypeScript files say about themselves, read as text: nothing is run, no type is checked.
import { dirname, join } from "node:path";
import { code, prose, read } from "./markdown.ts";

/** @returns { components, fieldDocs }, both by file */
export async function sourceReader() {
    const { default: ts } = await import("typescript");
    const parse = (file) => ts.createSourceFile(file, read(file), ts.ScriptTarget.ES2022, true);
    const doc = (node) => {
        const comments = ts.getJSDocCommentsAndTags(node).map((one) => ts.getTextOfJSDocComment(one.comment) ?? "");
        return prose(comments.join(" "));
    };
    // A constant has no type but its value.
    const typeOf = ({ type, initializer }) => code((type ?? initializer)?.getText() ?? "");
    const isPublic = (member) =>
        ts.isPropertyDeclaration(member) && member.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.PublicKeyword);

    /** Descriptions of the fields of object literals in a file, by name. */
    function fieldDocs(file) {
        const found = new Map();
        const visit = (node) => {
            const isField = ts.isPropertyAssignment(node) || ts.isShorthandPropertyAssignment(node);
            if (isField && doc(node) !== "") {
                found.set(node.name.getText(), doc(node));
            }
            ts.forEachChild(node, visit);
        };
        visit(parse(file));
        return found;
    }

    /** The interface of that name in a file, or where the file imports it from. */
    function interfaceOf(file, wanted) {
        const { statements } = parse(file);
        const from = statements.find(
            (one) =>
                ts.isImportDeclaration(one) &&
                one.importClause?.namedBindings?.elements?.some(({ name }) => name.text === wanted),
        );
        return from === undefined
            ? statements.find((one) => ts.isInterfaceDeclaration(one) && one.name.text === wanted)
            : interfaceOf(`${join(dirname(file), from.moduleSpecifier.text)}.ts`, wanted);
    }

    /** Components of a file; args and properties as rows of a table. */
    function components(file) {
        const { statements } = parse(file);
        const isComponent = (one) =>
            ts.isClassDeclaration(one) &&
            /extends pulumi\.ComponentResource\b/.test(one.heritageClauses?.[0]?.getText());
        return statements.filter(isComponent).map((one) => {
            const builder = one.members.find(ts.isConstructorDeclaration);
            const wanted = builder?.parameters[1]?.type?.getText();
            const args = interfaceOf(file, wanted);
            return {
                name: one.name.text,
                token: /super\(`\$\{project\}(:\w+:\w+)`/.exec(builder?.getText() ?? "")?.[1],
                doc: doc(one),
                args: args?.members.map((member) => [
                    code(member.name.getText()),
                    typeOf(member),
                    member.questionToken ? "" : "yes",
                    doc(member),
                ]),
                properties: one.members
                    .filter(isPublic)
                    .map((member) => [code(member.name.getText()), typeOf(member), doc(member)]),
            };
        });
    }

    return { components, fieldDocs };
}
