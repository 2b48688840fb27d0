/** Words that dialogues are put together from. What the model is asked to know is in facts.ts. @module */

function words(text: string): readonly string[] {
  return text.trim().split(/\s+/);
}

function phrases(text: string): readonly string[] {
  return text
    .split(/[,\n]/)
    .map((phrase) => phrase.trim())
    .filter((phrase) => phrase !== '');
}

export const ANIMALS = words(`
  fox owl rabbit bear mouse otter crow hedgehog deer turtle cat dog wolf goat horse pig duck swan frog toad
  badger beaver squirrel lynx seal whale dolphin penguin parrot eagle hawk sparrow heron stork camel donkey
  elephant giraffe lion tiger monkey panda koala kangaroo snail bee ant spider lizard mole`);

export const NAMES = words(`
  Mira Tom Anna Leo Nina Oskar Ivy Max Lena Sam Ben Clara Dora Emil Finn Greta Hugo Ida Jonas Kira Liam Maya
  Noah Olga Paul Rosa Tilda Vera Yuri Zoe`);

export const COLOURS = words('red blue green yellow orange purple white black');

export const NUMBERS = words(`
  zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
  seventeen eighteen nineteen twenty`);

export const STORY_PLACES = words('forest river hill garden village lake meadow cave');

export const STORY_THINGS =
  phrases(`a silver key, a red ball, an old map, a small lamp, a blue shell,
  a wooden box, a warm scarf, a bright stone`);

export const STORY_MOODS = words('brave shy clever kind curious sleepy gentle merry');

export const STORY_WEATHER = [
  'It was a sunny morning.',
  'It was a rainy evening.',
  'The wind was cold.',
  'The sky was full of stars.',
  'Snow covered the ground.',
];

/** What strangers ask about. */
export const THINGS = phrases(`
  a banana, a volcano, a guitar, a compiler, a black hole, a mortgage, a sonnet, a violin, a telescope, a vaccine, a bicycle,
  a bridge, a battery, a blockchain, a browser, a cactus, a castle, a cloud, a comet, a computer, a contract, a crystal, a
  database, a desert, a diamond, a dinosaur, a dragon, a dream, a drum, a fever, a firewall, a flower, a galaxy, a ghost, a
  glacier, a hammer, a heart attack, a helicopter, a hurricane, a kernel, a kidney, a king, a knife, a ladder, a laser, a
  lawyer, a magnet, a marathon, a microscope, a mirror, a molecule, a museum, a neural network, a noun, a novel, a parliament,
  a passport, a piano, a planet, a poem, a president, a prime number, a prism, a pyramid, a queue, a rainbow, a recession, a
  robot, a rocket, a satellite, a school, a ship, a shark, a skeleton, a sword, a tax, a thermometer, a tornado, a train, a
  transistor, a triangle, a tsunami, a vector, a verb, a virus, a vitamin, a war, a website, a wedding, a wheel, a witch, an
  acid, an airport, an algorithm, an apple, an artery, an atom, an avocado, an earthquake, an electron, an engine, an enzyme,
  an equation, an igloo, an insect, an integral, an island, an octopus, an onion, an opera, an orbit, an umbrella, bread,
  butter, calculus, capitalism, cheese, chemistry, chess, chocolate, climate change, coffee, copper, cricket, democracy,
  diabetes, electricity, entropy, evolution, football, geometry, gold, grammar, gravity, happiness, honey, hydrogen,
  inflation, iron, jazz, justice, light, love, magic, malaria, mathematics, medicine, milk, money, music, oxygen, paper,
  philosophy, photosynthesis, physics, pizza, plastic, poetry, quantum mechanics, rain, rice, salt, silver, sleep, snow,
  socialism, soup, steel, sugar, tea, tennis, the alphabet, the brain, the economy, the internet, the liver, the moon, the
  ocean, the stock market, the sun, thunder, time, uranium, water, wine, wood, yoga, Python, JavaScript, Linux, Kubernetes,
  Docker, machine learning, a for loop, a linked list, a binary tree, a hash map, a regular expression, an API, HTML, SQL`);

export const PLACES = phrases(`
  France, Brazil, Japan, Kenya, Norway, Peru, India, China, Egypt, Spain, Italy, Greece, Turkey, Poland, Canada, Mexico,
  Chile, Cuba, Iceland, Ireland, Scotland, Sweden, Finland, Austria, Hungary, Ukraine, Russia, Nigeria, Ghana, Morocco,
  Thailand, Vietnam, Korea, Nepal, Iran, Israel, Australia, New Zealand, Paris, London, Berlin, Rome, Madrid, Lisbon, Vienna,
  Prague, Warsaw, Moscow, Istanbul, Cairo, Lagos, Nairobi, Mumbai, Delhi, Beijing, Shanghai, Tokyo, Seoul, Bangkok, Sydney,
  New York, Chicago, Boston, Texas, California, Toronto, Bogota, Lima, the Alps, the Amazon, the Sahara, Mars, Jupiter, Europe,
  Africa, Asia, Antarctica, the Atlantic, Hamburg, Munich, Zurich, Geneva, Oslo, Venice, Florence, Athens`);

export const PEOPLE = phrases(`
  Albert Einstein, Isaac Newton, Napoleon, Cleopatra, Shakespeare, Mozart, Beethoven, Marie Curie, Charles Darwin, Galileo,
  Aristotle, Plato, Socrates, Leonardo da Vinci, Picasso, Van Gogh, Gandhi, Nelson Mandela, Abraham Lincoln, George
  Washington, Julius Caesar, Alexander the Great, Columbus, Marco Polo, Joan of Arc, Queen Victoria, Winston Churchill, Bach,
  Dante, Goethe, Tolstoy, Kafka, Homer, Archimedes, Euclid, Gauss, Euler, Turing, Tesla, Edison, the president, the pope,
  the king of Spain, my neighbour, my boss, my teacher, the inventor of the telephone, the first man on the moon`);

export const LANGUAGES = words(`
  French German Spanish Italian Russian Chinese Japanese Latin Greek Arabic Hindi Polish Dutch Swedish Turkish`);

export const CODE_LANGUAGES = words(
  'Python JavaScript Rust Go Java C Haskell Ruby Swift Bash SQL TypeScript',
);

/** What somebody wants done. */
export const DEEDS = phrases(`
  bake a cake, fix a bicycle, learn the piano, tie a tie, write a novel, change a tyre, cook rice, lose weight, sleep better,
  grow tomatoes, paint a wall, build a house, train a dog, open a bank account, sort a list, reverse a string, parse a file,
  boil an egg, make coffee, swim faster, run a marathon, draw a horse, fold a paper plane, find a job, rent a flat, buy a car,
  sell my house, plan a wedding, remove a stain, clean a window, repair a radio, install a printer, reset my password, book a
  flight, write a letter, solve an equation, play chess, make a fire, catch a fish, ride a horse, knit a jumper, deploy a
  server, merge two branches, invest my savings, quit smoking, cut my hair, sharpen a knife, brew beer`);

export const QUALITIES = words(`
  big small old new fast slow hot cold heavy expensive dangerous famous important popular healthy poisonous deep tall
  bright loud strong useful rare beautiful sour bitter dry wet round flat`);

/** Other things to list than colours. */
export const KINDS = words(`
  rivers planets countries cities fruits vegetables birds trees flowers metals oceans mountains painters poets
  songs films books games sports cars languages animals drinks tools insects stars gods kings presidents dances`);

export const EVERYDAY = words(`
  table chair window door street house garden kitchen morning evening winter summer letter pencil book shoe coat
  bottle spoon plate candle mirror basket button pocket ticket market corner bridge tower island harbour boat sail
  anchor rope stone sand grass leaf root seed berry nut pear plum cherry lemon grape melon carrot bean pea corn
  wheat flour bread cake soup salt pepper sugar honey butter cheese egg fish bird nest wing feather tail paw claw
  run walk jump sing dance read write draw paint build carry throw catch open close begin end give take send keep
  happy quiet loud soft hard sharp smooth rough empty full early late near far high low left right north south`);
