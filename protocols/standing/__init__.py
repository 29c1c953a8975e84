"""Whether a patient may be treated by a plan on a day, and what settles it."""
