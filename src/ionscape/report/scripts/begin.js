page.classList.add("scripted");
beginTheme();
beginTables();
beginDownloads();
beginPlots();
beginViewers();
