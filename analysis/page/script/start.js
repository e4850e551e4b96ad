// Start ---------------------------------------------------------------------------------------------------------------

document.addEventListener("DOMContentLoaded", () => {
  startTheme();
  const data = JSON.parse(byId("data").textContent);
  for (const part of document.querySelectorAll(".live")) part.hidden = false;
  if (data.curves.length) startCurves(data);
  if (data.samples.length) startSamples(data);
  if (data.pairs.length) startPairs(data);
  if (data.runs.length) startRuns(data);
});
