// Every key there is, for the list that `?` shows.

export const EVERYWHERE = [
  ["?", "this list"],
  ["1 … 6 with Alt", "People, Faces, Frame, Problems, History, Looks"],
  ["Z", "undo what was said last"],
  ["Shift Z", "say again what was undone last"],
  ["T", "dark or light"],
  ["R", "read the list anew"],
  ["Esc", "leave a question, or choose nothing"],
];
export const MOVING = [
  ["Arrows, Page ↑ ↓, Home, End", "go"],
  ["Space", "choose, or no more"],
  ["Shift with arrows", "choose a range"],
  ["Ctrl A", "choose all"],
  ["Enter", "open"],
];
export const OF_PEOPLE = [
  ["/", "search"],
  ["N", "name"],
  ["M", "merge: those chosen, or with somebody else"],
  ["Q", "who is the same? Y same, N different, Space later"],
];
export const OF_FACES = [
  ["X", "reject: no face, or not wanted"],
  ["U", "restore"],
  ["M", "whose it is: a person, new or known, or nobody"],
  ["S", "split off: somebody new"],
  ["=", "the chosen are one person"],
  ["D", "the chosen are different persons"],
  ["N", "note"],
];
export const OF_FRAME = [
  [", .", "the frame before, or after, with faces"],
  ["J K", "the next, or previous face"],
  ["F", "look at the face; 0: at all of the frame"],
  ["+ −", "nearer, farther"],
  ["1 … 5", "choose jaw, brows, nose, eyes, mouth"],
  ["A", "choose all points"],
  ["B", "choose the box"],
  ["Arrows", "move what is chosen by 1 px; Shift: 5; Alt: 0.2"],
  ["[ ]", "turn what is chosen"],
  ["{ }", "make what is chosen smaller, larger"],
  ["Enter", "save"],
  ["Esc", "as it was"],
  ["X U M N", "reject, restore, whose it is, note"],
  ["P", "paint a mask"],
  ["C", "there is a face that was not found: draw its box, or move the one in the middle; Enter saves"],
  ["O", "onion skin: the frame before, the frame after, neither"],
  ["L", "the landmarks of this face in the last frame"],
  ["I", "landmarks between those that were put right before and after"],
  ["D", "the next face that anything speaks against"],
  ["G", "back to the faces"],
];
export const OF_MASK = [
  ["E", "erase, or paint"],
  ["[ ]", "a smaller, larger brush"],
  ["{ }", "a softer, harder one"],
  ["Arrows, Space", "move the brush, paint with it"],
  ["Z", "a step back"],
  ["Enter, Esc", "save, leave"],
];
export const OF_LOOKS = [
  ["Tab", "the next plot"],
  ["← →", "where it begins; with Shift where it ends"],
  ["Delete", "all of it again"],
  ["Enter", "the faces"],
];
