for (const list of document.querySelectorAll("nav.contents details"))
  list.open = matchMedia("(min-width: 900px)").matches;
