// Libraries sleep in the page as text until something that needs them comes into view.

const awake = new Map();

function library(name) {
  if (!awake.has(name)) {
    awake.set(name, new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.textContent = document.getElementById(`library-${name}`).textContent;
      document.head.append(script); // runs at once: its text is in the page
      const found = name === "plotly" ? window.Plotly : window.$3Dmol;
      if (found) { resolve(found); } else { reject(new Error(`${name} did not start`)); }
    }));
  }
  return awake.get(name);
}

function dataOf(figure) {
  return JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
}

function whenSeen(elements, draw) {
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      observer.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "250px 0px" });
  elements.forEach((element) => observer.observe(element));
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
