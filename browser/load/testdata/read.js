JSON.stringify((() => {
	const text = (e) => e.textContent.trim().replace(/\s+/g, " ")
	const all = (of, what) => [...of.querySelectorAll(what)]
	const heads = all(document, "section").map((section) => [text(section.querySelector("h2")), section])
	return {
		Verdict: text(document.querySelector(".verdict")),
		Plots: heads.filter(([, section]) => section.querySelector("svg")).map(([head, section]) => {
			const svg = [...section.children].find((child) => child.tagName === "svg")
			const { width, height } = svg.getBoundingClientRect()
			const lines = all(svg, "path.line")
			return {
				Title: head, Width: width, Height: height, Legend: all(section, ".legend > span").map(text),
				Lines: lines.map((line) => line.getTotalLength()), Points: lines.map((line) => line.getAttribute("d").match(/[ML]/g).length),
			}
		}),
		SideWidth: Math.max(0, document.documentElement.scrollWidth - innerWidth),
	}
})())