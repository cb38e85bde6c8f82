// Pretty-printing from the text itself. JSON.parse would round big numbers, keep
// one of two equal keys and change their order: what is shown is what was sent.

// pretty cuts JSON text into lines: {pointer, depth, tokens: [[kind, text]…]}.
// pointer is the JSON pointer of the value that begins on the line; the line of
// a closing bracket has none. Text that is no JSON becomes plain lines.
export function pretty(text) {
  const lines = []
  const open = [] // the objects and arrays that we are in
  let line
  const start = (pointer) => {
    line = { pointer, depth: open.length, tokens: [] }
    lines.push(line)
  }
  start("")
  const lexer = /\s+|"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/gsy
  let match
  let at = 0
  while ((match = lexer.exec(text)) !== null) {
    at = lexer.lastIndex
    const token = match[0]
    if (/^\s/.test(token)) continue
    const inside = open.at(-1)
    if (token === "}" || token === "]") {
      open.pop()
      if (inside && !inside.empty) start(null)
      line.tokens.push(["mark", token])
      continue
    }
    if (inside?.empty || inside?.next) {
      const name = inside.array ? String(inside.n++) : null
      inside.empty = inside.next = false
      start(name === null ? null : `${inside.pointer}/${name}`)
    }
    switch (token) {
      case "{":
      case "[":
        open.push({ array: token === "[", pointer: line.pointer ?? "", empty: true, next: false, n: 0 })
        line.tokens.push(["mark", token])
        break
      case ",":
        if (inside) inside.next = true
        line.tokens.push(["mark", token])
        break
      case ":":
        line.tokens.push(["mark", ": "])
        break
      default:
        word(token, inside, line)
    }
  }
  if (at < text.length) line.tokens.push(["text", text.slice(at)])
  return lines
}

// word takes a text, number or literal; the first of a line in an object is its key.
function word(token, inside, line) {
  if (inside && !inside.array && line.pointer === null && line.tokens.length === 0) {
    line.pointer = `${inside.pointer}/${escape(unquoted(token))}`
    line.tokens.push(["key", token])
    return
  }
  const kind = token.startsWith('"') ? "text" : /^[-\d]/.test(token) ? "number" : "literal"
  line.tokens.push([kind, token])
}

function unquoted(token) {
  try {
    return String(JSON.parse(token))
  } catch {
    return token
  }
}

const escape = (name) => name.replaceAll("~", "~0").replaceAll("/", "~1")

// nearest returns the index of the line that a JSON pointer means: that of the
// value, or where it is missing of the nearest object around it. Of a key given
// twice the last one counts.
export function nearest(lines, pointer) {
  const byPointer = new Map()
  lines.forEach((line, i) => {
    if (line.pointer !== null) byPointer.set(line.pointer, i)
  })
  for (let path = pointer; ; path = path.slice(0, path.lastIndexOf("/"))) {
    if (byPointer.has(path)) return byPointer.get(path)
    if (path === "" || !path.includes("/")) return 0
  }
}

// plain returns the lines as text again.
export const plain = (lines) =>
  lines.map((line) => "  ".repeat(line.depth) + line.tokens.map(([, text]) => text).join("")).join("\n")
