"""Word tables for the families about language, each from easy or frequent to rare."""

from selfj.world.facts_table import pairs

OPPOSITES = pairs("""
    hot cold, big small, up down, yes no, day night, good bad, black white, left right, old young,
    in out, happy sad, fast slow, tall short, open closed, wet dry, hard soft, high low, rich poor,
    light dark, full empty, early late, long short, first last, clean dirty, strong weak, near far,
    on off, thick thin, wide narrow, deep shallow, heavy light, loud quiet, sweet sour, sharp blunt,
    rough smooth, love hate, win lose, buy sell, push pull, give take, start stop, laugh cry, begin end,
    come go, north south, east west, top bottom, front back, inside outside, above below, before after,
    always never, everything nothing, alive dead, true false, brave cowardly, cheap expensive,
    polite rude, simple complex, ancient modern, public private, success failure, victory defeat,
    friend enemy, question answer, winter summer, teacher pupil, borrow lend, accept reject,
    attack defend, arrive depart, increase decrease, remember forget, create destroy, floor ceiling,
    entrance exit, maximum minimum, positive negative, permanent temporary, generous stingy,
    optimist pessimist, internal external, horizontal vertical, plural singular, artificial natural,
    abundant scarce, guilty innocent, flexible rigid, transparent opaque, convex concave,
    voluntary compulsory, ascend descend, import export, major minor, superior inferior, vague precise,
    humid arid, prologue epilogue, synonym antonym, zenith nadir, export import, odd even
""")

# Right opposites beside the one in the table.
OTHER_OPPOSITES = {
    "big": ("little", "tiny"),
    "open": ("shut",),
    "near": ("distant",),
    "cheap": ("dear", "costly"),
    "friend": ("foe",),
    "attack": ("retreat",),
    "give": ("receive",),
    "old": ("new",),
    "hard": ("easy",),
    "light": ("heavy",),
    "happy": ("unhappy",),
    "cold": ("warm",),
    "clean": ("unclean",),
    "start": ("end", "finish"),
    "begin": ("finish",),
    "stop": ("go",),
    "polite": ("impolite",),
    "simple": ("complicated",),
    "teacher": ("student",),
    "accept": ("refuse", "decline"),
    "arrive": ("leave",),
    "sweet": ("bitter",),
    "sharp": ("dull",),
    "sour": ("sweet",),
    "generous": ("mean",),
    "ancient": ("new",),
    "loud": ("soft",),
    "create": ("ruin",),
    "voluntary": ("involuntary", "forced"),
    "flexible": ("inflexible",),
    "permanent": ("impermanent",),
    "vague": ("clear",),
    "thick": ("slim",),
    "success": ("defeat",),
    "rough": ("gentle",),
    "quiet": ("noisy",),
    "laugh": ("weep",),
    "increase": ("reduce",),
    "humid": ("dry",),
    "abundant": ("rare",),
    "brave": ("afraid",),
}

REGULAR_PLURALS = pairs("""
    cat cats, dog dogs, book books, car cars, house houses, tree trees, bird birds, hand hands,
    table tables, apple apples, school schools, river rivers, cup cups, flower flowers, street streets,
    chair chairs, window windows, box boxes, bus buses, dish dishes, church churches, fox foxes,
    glass glasses, brush brushes, day days, boy boys, key keys, toy toys, king kings, garden gardens,
    pencil pencils, lamp lamps, boat boats, roof roofs, spoon spoons, ticket tickets, monkey monkeys,
    peach peaches, island islands, forest forests, engine engines, bottle bottles, basket baskets,
    hammer hammers, village villages, picture pictures
""")

IRREGULAR_PLURALS = pairs("""
    man men, woman women, child children, foot feet, tooth teeth, mouse mice, goose geese,
    sheep sheep, deer deer, baby babies, city cities, story stories, lady ladies,
    party parties, fly flies, berry berries, pony ponies, family families, country countries,
    knife knives, wife wives, leaf leaves, wolf wolves, life lives, shelf shelves, loaf loaves,
    thief thieves, calf calves, half halves, elf elves, potato potatoes, tomato tomatoes, ox oxen,
    axis axes, louse lice, policeman policemen, fireman firemen, postman postmen, salmon salmon,
    moose moose, series series, species species, crisis crises, oasis oases, thesis theses,
    analysis analyses, hypothesis hypotheses
""")

REGULAR_PAST = pairs("""
    walk walked, play played, look looked, jump jumped, talk talked, open opened, clean cleaned,
    help helped, ask asked, call called, wait waited
""")

IRREGULAR_PAST = pairs("""
    go went, see saw, eat ate, run ran, come came, take took, give gave, make made, get got, say said,
    know knew, think thought, find found, tell told, feel felt, leave left, keep kept, begin began,
    write wrote, stand stood, hear heard, meet met, sit sat, speak spoke, bring brought, buy bought,
    catch caught, teach taught, fight fought, drink drank, sing sang, swim swam, ring rang, drive drove,
    ride rode, break broke, choose chose, fall fell, fly flew, grow grew, throw threw, draw drew,
    blow blew, build built, send sent, spend spent, lose lost, sell sold, hold held, win won, wear wore,
    tear tore, hide hid, bite bit, feed fed, sleep slept, sweep swept, steal stole, freeze froze,
    wake woke, forget forgot, forgive forgave, shake shook, rise rose, dig dug, stick stuck,
    swing swung, grind ground, seek sought, cling clung, flee fled
""")

# Adjective and comparative; irregular and y-ending ones are what the misconception gets wrong.
COMPARATIVES = pairs("""
    good better, bad worse, far farther, big bigger, small smaller, tall taller, short shorter,
    long longer, old older, young younger, fast faster, slow slower, hot hotter, cold colder,
    warm warmer, cool cooler, strong stronger, weak weaker, rich richer, poor poorer, high higher,
    low lower, deep deeper, wide wider, thick thicker, thin thinner, hard harder, soft softer,
    light lighter, dark darker, cheap cheaper, clean cleaner, large larger, nice nicer, late later,
    loud louder, sweet sweeter, sharp sharper, smooth smoother, rough rougher, safe safer, sad sadder,
    wet wetter, fat fatter, great greater, brave braver, happy happier, easy easier, heavy heavier,
    early earlier, busy busier, funny funnier, pretty prettier, dirty dirtier, noisy noisier,
    angry angrier, hungry hungrier, lucky luckier, lazy lazier, sunny sunnier, windy windier,
    crazy crazier, tiny tinier, ugly uglier, healthy healthier, wealthy wealthier, dry drier,
    thirsty thirstier, sleepy sleepier, tasty tastier, salty saltier, empty emptier, rainy rainier
""")

# Right comparatives beside the one in the table.
OTHER_COMPARATIVES = {"far": ("further",), "old": ("elder",), "dry": ("dryer",)}

# Animal and its young.
YOUNG = pairs("""
    dog puppy, cat kitten, cow calf, horse foal, sheep lamb, pig piglet, duck duckling, hen chick,
    goat kid, bear cub, lion cub, tiger cub, goose gosling, swan cygnet, frog tadpole, kangaroo joey,
    deer fawn, elephant calf, whale calf, dolphin calf, giraffe calf, hippo calf, rhino calf,
    buffalo calf, camel calf, moose calf, fox cub, wolf cub, leopard cub, owl owlet, eagle eaglet,
    donkey foal, zebra foal, koala joey, butterfly caterpillar, salmon fry, eel elver, pigeon squab,
    spider spiderling, bat pup, seal pup, otter pup, hare leveret, trout fry, walrus calf, manatee calf,
    wombat joey, wallaby joey, shark pup
""")

OTHER_YOUNG = {
    "dog": ("pup",),
    "fox": ("kit", "pup"),
    "wolf": ("pup",),
    "salmon": ("smolt", "alevin", "parr"),
    "goose": ("chick",),
    "swan": ("chick",),
    "owl": ("chick",),
    "eagle": ("chick",),
    "pigeon": ("chick",),
    "duck": ("chick",),
    "hen": ("pullet",),
    "horse": ("colt", "filly"),
    "otter": ("kit",),
    "bat": ("batling",),
    "butterfly": ("larva",),
    "walrus": ("pup",),
    "deer": ("calf",),
    "eel": ("leptocephalus",),
    "trout": ("alevin",),
    "spider": ("hatchling",),
    "zebra": ("colt",),
    "donkey": ("colt",),
    "pig": ("pigling",),
    "goat": ("kidling",),
    "seal": ("whelp",),
    "frog": ("froglet",),
    "shark": ("sharklet",),
}

# Things of a kind, for the open-ended families.
KINDS = {
    "fruit": """
        apple banana cherry date fig grape kiwi lemon lime mango melon nectarine orange papaya peach
        pear pineapple plum quince raspberry strawberry blueberry apricot avocado coconut grapefruit
        guava
    """,
    "animal": """
        ant bear cat cow crow deer dog donkey duck eagle elephant fish fox frog giraffe goat goose
        hare hen horse jaguar kangaroo koala lamb leopard lion lizard monkey moose mouse newt octopus
        otter owl panda parrot penguin pig quail rabbit rat seal shark sheep snake spider swan tiger
        turtle vulture whale wolf yak zebra iguana urchin narwhal
    """,
    "color": """
        red blue green yellow orange purple pink black white brown grey gray violet gold silver
        turquoise
    """,
    "vegetable": """
        carrot potato onion cabbage lettuce spinach broccoli cauliflower leek pea bean beet radish
        turnip celery asparagus kale garlic pepper cucumber pumpkin eggplant zucchini artichoke
    """,
    "sport": """
        football soccer tennis golf hockey rugby cricket baseball basketball volleyball swimming
        boxing cycling running skiing judo rowing badminton archery fencing
    """,
    "tool": """
        hammer saw drill wrench screwdriver pliers chisel axe spade shovel rake file level plane knife
    """,
    "instrument": """
        piano guitar violin flute drum trumpet cello harp clarinet oboe trombone saxophone organ tuba
        viola accordion bassoon banjo
    """,
    "metal": """
        iron gold silver copper zinc tin lead nickel aluminum platinum titanium mercury sodium
        magnesium
    """,
    "bird": """
        crow duck eagle owl parrot penguin swan hen goose robin sparrow pigeon hawk heron gull dove
        ostrich vulture falcon stork raven
    """,
    "tree": """
        oak pine maple birch elm ash beech cedar fir willow poplar spruce walnut chestnut palm olive
    """,
    "drink": """
        water milk tea coffee juice lemonade wine beer cocoa cola cider soda
    """,
    "country": """
        France Germany Italy Spain Japan China Brazil Egypt India Canada Mexico Kenya Peru Chile
        Norway
    """,
    "planet": """
        Mercury Venus Earth Mars Jupiter Saturn Uranus Neptune
    """,
    "job": """
        teacher doctor nurse baker farmer lawyer pilot cook driver judge painter plumber carpenter
        dentist
    """,
    "season": """
        spring summer autumn winter fall
    """,
    "month": """
        January February March April May June July August September October November December
    """,
    "shape": """
        circle square triangle rectangle hexagon pentagon oval rhombus octagon trapezoid
    """,
}
MEMBERS = {kind: tuple(words.split()) for kind, words in KINDS.items()}

# Animal and the class it belongs to, from well known to rare.
ANIMAL_CLASSES: tuple[tuple[str, str], ...] = (
    *(("dog", "mammal"), ("cat", "mammal"), ("eagle", "bird"), ("horse", "mammal"), ("bee", "insect")),
    *(("cow", "mammal"), ("trout", "fish"), ("sparrow", "bird"), ("salmon", "fish"), ("ant", "insect")),
    *(("frog", "amphibian"), ("shark", "fish"), ("penguin", "bird"), ("lion", "mammal"), ("whale", "mammal")),
    *(("snake", "reptile"), ("owl", "bird"), ("spider", "arachnid"), ("tuna", "fish"), ("wasp", "insect")),
    *(("rabbit", "mammal"), ("dolphin", "mammal"), ("beetle", "insect"), ("toad", "amphibian"), ("lizard", "reptile")),
    *(("ostrich", "bird"), ("seal", "mammal"), ("carp", "fish"), ("moth", "insect"), ("crocodile", "reptile")),
    *(("bear", "mammal"), ("turtle", "reptile"), ("heron", "bird"), ("scorpion", "arachnid"), ("cod", "fish")),
    *(("newt", "amphibian"), ("walrus", "mammal"), ("falcon", "bird"), ("cricket", "insect"), ("tick", "arachnid")),
    *(("otter", "mammal"), ("orca", "mammal"), ("pike", "fish"), ("gecko", "reptile"), ("termite", "insect")),
    *(("sea lion", "mammal"), ("herring", "fish"), ("mite", "arachnid"), ("iguana", "reptile"), ("stork", "bird")),
    *(("porpoise", "mammal"), ("salamander", "amphibian"), ("adder", "reptile"), ("magpie", "bird"), ("eel", "fish")),
    *(
        ("manatee", "mammal"),
        ("tarantula", "arachnid"),
        ("alligator", "reptile"),
        ("locust", "insect"),
        ("elk", "mammal"),
    ),
)
