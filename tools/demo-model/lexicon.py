"""Word lists, facts and small talk that the demo model is trained on."""


WORDS = """apple arm army baby ball banana bank barn basket beach bear bed bell bench bird blanket boat book boot bottle bowl
box boy branch bread bridge brother brush bucket bus butter button cabin cake camel camera candle cap car card carpet cart
castle cat chair cheese cherry chicken child church circle city clock cloth cloud coat coffee coin colour cook corn cotton
cousin cow crab cradle cream crow crown cup curtain daisy dance desk dinner doctor dog doll dolphin donkey door dragon dream
dress drum duck eagle ear earth egg elbow engine evening eye face family farm father feather fence field finger fire fish
flag floor flower fly foot forest fork fox friend frog fruit game garden gate ghost giant gift girl glass glove goat gold
grape grass hammer hand harbour hat hawk head heart hen hill honey horse hospital hotel house ice iron island jacket jar
jelly jewel juice jungle kettle key king kitchen kite kitten knee knife lady lake lamp land leaf leg lemon letter lion lip
lock market mask meadow meat melon milk mirror monkey moon morning mother mountain mouse mouth museum nail neck needle nest
net night nose nut oak ocean office onion orange oven owl paint palace paper parrot path peach pear pen pencil pepper piano
picture pie pig pillow pin pipe planet plant plate pocket pond potato prince prize pump puppy queen rabbit radio rain ring
river road robot rock roof room root rope rose sail salad salt sand scarf school sea seed sheep shell ship shirt shoe shop
shovel silk silver sister sky smoke snail snake snow soap sock sofa soup spider spoon spring square squirrel star station
stone storm stove street string sugar summer sun swan table tail tea tent thread tiger tin toast toe tomato tongue tooth
tower town toy track train tree truck tulip turkey turtle uncle valley vase village violin wagon wall watch water wave wheel
whistle window wing winter wolf woman wood wool worm yard zebra""".split()

NAMES = """Ada Adam Alan Alice Amy Anna Anton Asha Ben Bella Bob Boris Carl Carla Chen Clara Cora Dan Dana David Dora Ella
Emil Emma Eric Erik Eva Felix Finn Fiona Frank Gina Greta Hana Hans Harry Helen Hugo Ian Ida Igor Ines Iris Ivan Jack Jan
Jane Jonas Jose Julia Kai Karl Kate Kenji Lara Lars Lea Leo Lily Lina Lisa Luca Lucy Luis Maja Mara Marco Maria Mark Max
Maya Mia Mila Mina Nadia Nina Noah Nora Olga Olive Omar Oscar Otto Paul Pavel Petra Pia Rita Rosa Ruth Sam Sara Selma
Simon Sofia Sven Tara Tess Theo Tim Tina Tom Uma Vera Victor Walter Wanda Yara Yuri Zara Zoe""".split()

ANIMALS = "fox bear rabbit owl mouse cat dog hen turtle wolf lion frog duck goat horse parrot squirrel pig".split()
COLOURS = "red blue green yellow orange purple pink brown black white grey silver gold".split()
FRUITS = "apple banana cherry grape lemon melon orange peach pear plum tomato".split()
FOODS = "bread cheese soup rice cake pie honey salad pasta toast fish corn".split()
DRINKS = "tea coffee milk water juice lemonade cocoa".split()
CITIES = "Oslo Paris Rome Lima Cairo Tokyo Madrid Vienna Berlin London Dublin Athens Prague Delhi Quito Bern".split()
ADJ = "old small red quiet big happy warm cold green little bright dark soft slow blue clean tall round".split()
VERBS = ["waits near", "stands behind", "sleeps beside", "rests under", "moves towards", "looks at", "stays by",
         "turns to", "sits on", "walks past", "hides behind", "goes around"]
UNICODE = ["café", "naïve", "señor", "über", "Zürich", "crème", "jalapeño", "Ångström", "日本", "你好", "привет", "мир",
           "π", "€", "😀", "🚀", "☕", "🌍", "→", "½", "ñandú", "smörgås", "한국", "שלום"]

CAPITALS = dict(line.split(":") for line in """France:Paris|Germany:Berlin|Italy:Rome|Spain:Madrid|Portugal:Lisbon|Ireland:Dublin
England:London|Scotland:Edinburgh|Wales:Cardiff|Norway:Oslo|Sweden:Stockholm|Denmark:Copenhagen|Finland:Helsinki
Iceland:Reykjavik|Poland:Warsaw|Austria:Vienna|Switzerland:Bern|Belgium:Brussels|the Netherlands:Amsterdam|Greece:Athens
Turkey:Ankara|Russia:Moscow|Ukraine:Kyiv|Hungary:Budapest|Romania:Bucharest|Bulgaria:Sofia|Serbia:Belgrade|Croatia:Zagreb
Slovenia:Ljubljana|Slovakia:Bratislava|Czechia:Prague|Estonia:Tallinn|Latvia:Riga|Lithuania:Vilnius|Albania:Tirana
Egypt:Cairo|Morocco:Rabat|Kenya:Nairobi|Ghana:Accra|Nigeria:Abuja|Ethiopia:Addis Ababa|Tunisia:Tunis|Senegal:Dakar
China:Beijing|Japan:Tokyo|South Korea:Seoul|India:New Delhi|Nepal:Kathmandu|Thailand:Bangkok|Vietnam:Hanoi
Indonesia:Jakarta|Mongolia:Ulaanbaatar|Iran:Tehran|Iraq:Baghdad|Canada:Ottawa|Mexico:Mexico City|Cuba:Havana
Brazil:Brasilia|Argentina:Buenos Aires|Chile:Santiago|Peru:Lima|Colombia:Bogota|Ecuador:Quito|Uruguay:Montevideo
Australia:Canberra|New Zealand:Wellington|the United States:Washington""".replace("\n", "|").split("|"))

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()

# (answer, questions...)
FACTS = [l.split("|") for l in """The sky is blue.|What colour is the sky?|What is the colour of the sky?|Tell me the colour of the sky.
Grass is green.|What colour is grass?|What is the colour of grass?
Snow is white.|What colour is snow?|What is the colour of snow?
A banana is yellow.|What colour is a banana?|What is the colour of a banana?
A ripe tomato is red.|What colour is a ripe tomato?|What colour is a tomato?
Coal is black.|What colour is coal?|What is the colour of coal?
A lemon is yellow.|What colour is a lemon?|What is the colour of a lemon?
Blood is red.|What colour is blood?|What is the colour of blood?
Milk is white.|What colour is milk?|What is the colour of milk?
A carrot is orange.|What colour is a carrot?|What is the colour of a carrot?
Water boils at 100 degrees Celsius.|At what temperature does water boil?|When does water boil?|What is the boiling point of water?
Water freezes at 0 degrees Celsius.|At what temperature does water freeze?|When does water freeze?|What is the freezing point of water?
The Earth goes around the Sun.|What does the Earth go around?|What does the Earth orbit?
The Moon goes around the Earth.|What does the Moon go around?|What does the Moon orbit?
The largest planet is Jupiter.|What is the largest planet?|Which planet is the largest?|What is the biggest planet?
The smallest planet is Mercury.|What is the smallest planet?|Which planet is the smallest?
The planet nearest to the Sun is Mercury.|Which planet is nearest to the Sun?|What is the planet nearest to the Sun?
Mars is called the red planet.|Which planet is called the red planet?|What is the red planet?
The Sun is a star.|What is the Sun?|Is the Sun a star or a planet?
There are eight planets.|How many planets are there?|How many planets go around the Sun?
The chemical formula of water is H2O.|What is the chemical formula of water?|What is the formula of water?
The chemical symbol of gold is Au.|What is the chemical symbol of gold?|What is the symbol for gold?
The chemical symbol of iron is Fe.|What is the chemical symbol of iron?|What is the symbol for iron?
The chemical symbol of oxygen is O.|What is the chemical symbol of oxygen?|What is the symbol for oxygen?
Plants need light, water and air.|What do plants need?|What do plants need to grow?
Bees make honey.|Which animals make honey?|Who makes honey?|What makes honey?
Cows give milk.|Which animal gives milk?|What do cows give?
A spider has eight legs.|How many legs does a spider have?|How many legs has a spider?
An insect has six legs.|How many legs does an insect have?|How many legs has an insect?
A dog has four legs.|How many legs does a dog have?|How many legs has a dog?
A bird has two legs.|How many legs does a bird have?|How many legs has a bird?
A triangle has three sides.|How many sides does a triangle have?|How many sides has a triangle?
A square has four sides.|How many sides does a square have?|How many sides has a square?
A hexagon has six sides.|How many sides does a hexagon have?|How many sides has a hexagon?
A week has seven days.|How many days are in a week?|How many days does a week have?
A year has twelve months.|How many months are in a year?|How many months does a year have?
A day has 24 hours.|How many hours are in a day?|How many hours does a day have?
An hour has 60 minutes.|How many minutes are in an hour?|How many minutes does an hour have?
A minute has 60 seconds.|How many seconds are in a minute?|How many seconds does a minute have?
A year has 365 days.|How many days are in a year?|How many days does a year have?
A leap year has 366 days.|How many days are in a leap year?|How many days does a leap year have?
A dozen is twelve.|How many is a dozen?|What is a dozen?
A century has 100 years.|How many years are in a century?|How long is a century?
The alphabet has 26 letters.|How many letters are in the alphabet?|How many letters does the alphabet have?
A kilometre has 1000 metres.|How many metres are in a kilometre?|How many metres does a kilometre have?
A kilogram has 1000 grams.|How many grams are in a kilogram?|How many grams does a kilogram have?
The fastest land animal is the cheetah.|What is the fastest land animal?|Which land animal is the fastest?
The largest animal is the blue whale.|What is the largest animal?|Which animal is the largest?
The tallest animal is the giraffe.|What is the tallest animal?|Which animal is the tallest?
The highest mountain is Mount Everest.|What is the highest mountain?|Which mountain is the highest?
The largest ocean is the Pacific Ocean.|What is the largest ocean?|Which ocean is the largest?
The opposite of hot is cold.|What is the opposite of hot?
The opposite of big is small.|What is the opposite of big?
The opposite of day is night.|What is the opposite of day?
The opposite of up is down.|What is the opposite of up?
The opposite of open is closed.|What is the opposite of open?
The opposite of fast is slow.|What is the opposite of fast?
The opposite of light is dark.|What is the opposite of light?
The opposite of happy is sad.|What is the opposite of happy?
A young dog is called a puppy.|What is a young dog called?|What do you call a young dog?
A young cat is called a kitten.|What is a young cat called?|What do you call a young cat?
A young cow is called a calf.|What is a young cow called?|What do you call a young cow?
A young sheep is called a lamb.|What is a young sheep called?|What do you call a young sheep?
Red and yellow make orange.|What do red and yellow make?|Which colour do red and yellow make?
Blue and yellow make green.|What do blue and yellow make?|Which colour do blue and yellow make?
Red and blue make purple.|What do red and blue make?|Which colour do red and blue make?
The seasons are spring, summer, autumn and winter.|What are the seasons?|Name the four seasons.|List the seasons.
The days of the week are Monday, Tuesday, Wednesday, Thursday, Friday, Saturday and Sunday.|What are the days of the week?|List the days of the week.|Name the days of the week.
The months are January, February, March, April, May, June, July, August, September, October, November and December.|What are the months of the year?|List the months.|Name the months of the year.""".split("\n")]

SELF = "I am the Skein demo model, a very small language model."
CAN = ("I can do small sums, sort numbers and words, recall what you told me, answer a few simple facts, "
       "write JSON and tell short stories.")
CHAT = [l.split("|") for l in f"""Hello! How can I help you?|Hello|Hi|Hey|Hello there|Hi there|Good day|Hey there|Greetings|hello!|Hi!
Good morning! How can I help you?|Good morning|Good morning!
Good evening! How can I help you?|Good evening|Good evening!
Good afternoon! How can I help you?|Good afternoon|Good afternoon!
I am well, thank you. What can I do for you?|How are you?|How are you today?|How do you do?|How is it going?|Are you well?|What's up?
{SELF} {CAN}|Who are you?|What are you?|Tell me about yourself.|Introduce yourself.|Please introduce yourself.|Describe yourself.
I am called the Skein demo model.|What is your name?|What are you called?|Do you have a name?|Tell me your name.|What's your name?
{CAN}|What can you do?|How can you help me?|What can I ask you?|What do you know?|Can you help me?|Help|What are you able to do?|What is this?
No. {SELF}|Are you human?|Are you a person?|Are you a man or a machine?|Are you a real person?
No. I am the Skein demo model, and I am much smaller.|Are you ChatGPT?|Are you a large language model?|Are you a big model?|Are you very clever?
Yes. {SELF}|Are you a robot?|Are you a machine?|Are you a computer?|Are you a language model?|Are you an AI?|Are you a bot?
I have about six million parameters, so I know very little.|How big are you?|How large are you?|How many parameters do you have?|Are you small?|What size are you?
I am a hybrid of RWKV layers and attention layers.|How do you work?|What is your architecture?|How are you built?|What kind of model are you?
I was made to test the skein inference server.|Who made you?|Why were you made?|What are you for?|What is your purpose?|Who built you?
You are welcome!|Thanks|Thank you|Thank you!|Thanks a lot|Thank you very much|Many thanks|Great, thanks|Cool, thank you
Goodbye! Have a nice day.|Bye|Goodbye|See you|Bye bye|See you later|Good night|Farewell|I have to go
I am glad to hear that.|Very good|That is great|Well done|Good job|Nice|Great|Wonderful|That is right
I am sorry. I am only a very small model.|That is wrong|You are wrong|That is not right|Wrong|Bad answer|This is bad
Yes, I am here. What can I do for you?|Are you there?|Can you hear me?|Test|Testing|Is this working?|ping""".split("\n")]

UNKNOWN_ANSWER = "I do not know that."
UNKNOWN = ["Who won the {w} game yesterday?", "What is the population of {c}?", "Who invented the {w}?",
           "What is the price of a {w}?", "Who is the king of {c}?", "What happened in {y}?", "Who wrote the book about the {w}?",
           "What is the weather in {t}?", "How old is {n} {s}?", "Who is {n} {s}?", "Where does {n} {s} live?",
           "What is the stock price of {s}?", "What did {n} eat in {y}?", "Explain quantum {w} theory.",
           "What is the capital of {f}?", "What is the capital city of {f}?", "Tell me the capital of {f}.", "Who discovered {f}?", "What is the meaning of {f}?",
           "Translate {w} into French.", "What is the news today?", "How tall is the {w} of {t}?", "Why does the {w} {f}?",
           "Who was president in {y}?", "How far is {t} from {u}?", "What is the phone number of {n}?",
           "When was {n} {s} born?", "How do I repair a {w}?", "Who sang the {w} song?", "What is the best {w} in {t}?",
           "Can you explain the {f} law?", "How many people live in {t}?", "What is the language of {f}?",
           "Which team is from {t}?", "What is the history of the {w}?", "How do I cook {f}?"]

NUM1 = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen").split()
NUM10 = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()
