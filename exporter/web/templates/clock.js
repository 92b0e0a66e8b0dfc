// The reader's own clock in place of the cluster's. A browser that knows no such format keeps what the page says.
const two = "2-digit";
const clock = new Intl.DateTimeFormat("sv-SE", {
  year: "numeric", month: two, day: two, hour: two, minute: two, second: two, timeZoneName: "longOffset",
});
for (const time of document.querySelectorAll("time")) {
  time.textContent = clock.format(new Date(time.dateTime)).replace(/GMT(\+00:00)?/, "UTC");
}
