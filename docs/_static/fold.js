// Answers (`.. admonition::` with the class dropdown) and the code of a tutorial become foldable.
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
});
