// Publication figures leave the page in print colours, as vector or as 300 dpi raster, also when the page lies alone.

const PRINT = JSON.parse(document.getElementById("print-colours").textContent);

function printed(drawing) {
  const copy = drawing.cloneNode(true);
  const [, , width, height] = copy.getAttribute("viewBox").split(" ").map(Number);
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", `${width}pt`);
  copy.setAttribute("height", `${height}pt`);
  ["class", "style", "role"].forEach((name) => copy.removeAttribute(name));
  let text = new XMLSerializer().serializeToString(copy);
  for (const [variable, colour] of Object.entries(PRINT)) { text = text.replaceAll(variable, colour); }
  return { text, width, height };
}

function rastered({ text, width, height }) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => {
      const canvas = document.createElement("canvas");
      const scale = 300 / 72; // points to dots
      [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
      const context = canvas.getContext("2d");
      context.fillStyle = "#ffffff";
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.drawImage(image, 0, 0, canvas.width, canvas.height);
      canvas.toBlob(resolve, "image/png");
    };
    image.onerror = reject;
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  });
}

function beginDownloads() {
  document.querySelectorAll("figure .files a[data-save]").forEach((link) => {
    const drawing = link.closest("figure").querySelector("svg.drawing");
    if (!drawing) { return; }
    link.addEventListener("click", async (event) => {
      event.preventDefault();
      const print = printed(drawing);
      const blob = link.dataset.save === "svg" ? new Blob([print.text], { type: "image/svg+xml" }) : await rastered(print);
      save(blob, link.getAttribute("href").split("/").pop());
    });
  });
}
