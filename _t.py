import time, yaml
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.schemas.scenes.survival import refuse_unreadable
from underpaint.miniature.world import vocabulary
C=Vocabulary.model_validate(yaml.safe_load(open('recipes/vocabularies/coco.yaml').read()))
for v in (vocabulary(),C): t=time.time(); refuse_unreadable(v); print(time.time()-t)
v=Vocabulary.model_validate(yaml.safe_load(open('/work/shared/cases/vocabulary-of-real-names/v.yaml')))
print(v.plurals)
refuse_unreadable(v)
t=time.time(); 
big=Vocabulary(nouns=[f"{a}{b} thing" for a in "bcdfghjklm" for b in range(100)],attributes={"colour":("red","light blue")}); print('list',time.time()-t)
t=time.time(); refuse_unreadable(big); print('1000',time.time()-t)
def why(**k):
    try: refuse_unreadable(Vocabulary(**{"attributes":{},**k})); print('ok',k)
    except Exception as e: print(type(e).__name__, str(e)[:300])
why(nouns=["TV","iPhone","Cricket ball","café","St. Bernard","Albert Einstein","salt and pepper shaker","doll with hat","bus","sports car","M&M","Boeing 747","iPhone 15","mother-in-law","Robot Jr.","rock 'n' roll band","naïve art","Ōkami","chopsticks","jack-in-the-box","women's shoe","Christmas tree"],attributes={"colour":["red","light blue","blue","black and white"],"material":["made of wood"],"action":["running","chasing each other"]},relations=["above","on top of","on","chases","is riding","with"],backgrounds=["deep blue","café","St. Moritz"])
why(nouns=["dog","hot dog"],attributes={"t":["hot"]})
why(nouns=["dog"],attributes={"shade":["light"],"colour":["light blue","blue"]})
why(nouns=["dog"],attributes={"shade":["light"],"colour":["light"]})
why(nouns=["Turkey","turkey"])
why(nouns=["dog","a"])
why(nouns=["doll with hat"])
why(nouns=["cat, the"])
why(nouns={"car":"cars","cars":"car"})
why(nouns=["dog"],attributes={"place":["in the middle"]})
why(nouns=["boat at sunset"])
why(nouns=["car above house", "house","car"])
why(nouns=["salt and pepper"])
why(nouns=["dog!"])
why(nouns=["?"])
why(nouns=["photo of cat","cat"])
