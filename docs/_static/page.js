// Answers (`.. admonition::` with the class dropdown) and the code of a tutorial become foldable. Each line of output
// becomes a box, so that it can wrap. What is too wide for the window scrolls, and fades out where it goes on.
function fold(title, parts, open, name) {
  const details = document.createElement("details");
  const summary = document.createElement("summary");
  details.className = name;
  details.open = open;
  summary.append(...title);
  parts[0].before(details);
  details.append(summary, ...parts);
  return details;
}

document.addEventListener("DOMContentLoaded", () => {
  for (const box of document.querySelectorAll(".admonition.dropdown")) {
    fold(box.querySelector(".admonition-title").childNodes, [box], false, "answer");
    box.querySelector(".admonition-title").remove();
  }
  if (document.querySelector(".sphx-glr-example-title")) {
    for (const code of document.querySelectorAll("div.highlight-Python, div.highlight-python")) {
      fold(["Code"], [code], true, "code");
    }
  }
  for (const output of document.querySelectorAll(".sphx-glr-script-out pre")) {
    const lines = output.textContent.replace(/\n$/, "").split("\n");
    // columns, but not the two spaces after "ok" or "FAIL"
    const table = lines.some((line) => /^.{6,}\S {2,}\S|^\[\[/.test(line));
    output.className = table ? "table" : "sentences";
    output.replaceChildren(
      ...lines.map((line) => {
        const box = document.createElement("div");
        box.textContent = line;
        box.style.setProperty("--end", `${line.search(/\S|$/) + 4}ch`);
        return box;
      }),
    );
  }
  for (const figure of document.querySelectorAll(".sphx-glr-single-img")) {
    const frame = document.createElement("div");
    frame.className = "frame";
    figure.replaceWith(frame);
    frame.append(figure);
  }
  for (const box of document.querySelectorAll("article pre, .sphx-glr-script-out .highlight, .frame, .table-wrapper")) {
    const mark = () => box.classList.toggle("more", box.scrollLeft + box.clientWidth < box.scrollWidth - 2);
    box.addEventListener("scroll", mark);
    new ResizeObserver(mark).observe(box);
  }
});
