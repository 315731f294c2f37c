"""Given names, lower-case, of several languages: enough to tell a column of people from others."""

from __future__ import annotations

from typing import Final

_TEXT: Final = """
abdul adam adele adrian agata agnes agnieszka ahmed aisha akira alan alba albert aldo alejandro
alessandro alex alexander ali alice alicia alina amanda amelia amina amir amy ana anastasia
anders andre andrea andreas andreea andrew andrzej angela anika anita anja ann anna anne annika
antoine anton antonio ariadna arjun arnaud arne arthur asa ashley astrid aurelie ava axel ayse
barbara barbora bart beata beatrice beatriz ben bence benjamin benoit bernd bianca birgit bjorn
bob bogdan boris brian brigitte bruno camille carl carla carlos carmen carolina caroline
catherine cecilia celine charles charlotte chen chiamaka chiara chidi chinedu chloe chris
christian christina christine christoph christopher claire clara claudia clemens colette
cornelia cristina daan dagmar daisuke dan daniel daniela dariusz dave david dawid deborah
delphine denis diana diego dieter dimitri dirk dominik donna dorota eduardo edward eleanor elena
elias elif elina elisa elizabeth ella elsa emil emilia emilie emilio emily emma emre enrico eric
erik ernst esra esther eszter etienne eugenia eva ewa fabian fabio fatima fatou federico felicia
felix fernando filip fiona fleur florence florian francesca francesco frank franziska fred frida
gabriel gabriela george gerard gerd gianluca gillian giorgia giovanni giulia greg guillaume
gunter gustav hana hanna hannah hans harald harry hassan heike heinz helen helena henri henrik
henry herbert hiroshi holger horst hugo ian ibrahim ida igor ilse imke ines ingeborg ingrid
irene irina isabel isabelle isla ivan ivana jaap jack jacob jakob jakub james jan jana jane
jason javier jean jeff jennifer jens jeroen jesper jessica jesus jette jim joana joanna joao
joaquin jochen joe joel johan johanna johannes john jolanta jonas joost jorge jose josef joseph
josephine juan juana julia julian julie jun jurgen justyna kamil karen karin karl karolina kasia
katarina katarzyna kate katharina katja kemal kenji kerstin kevin khalid kirsten klaas klara
klaus krzysztof kwame laila lars laura laurent lea leila lena leo leon leonie liam lidia lieke
liesbeth lina linda linnea lisa lorenzo lotte louis luca lucas lucia luigi luis luisa lukas
lukasz maarten magdalena maja malgorzata malik manfred manuel marc marcel marcin marco marek
margaret margit maria mariana marie marieke marina mario marit markus marlene marta martin
martine mary maryam mateo mathilde mats matteo matthew matthias maurice max mehmet mei melanie
mette mia michael michal michel miguel mikael mike mila milan miriam mohamed mohammad mohammed
monika moritz mustafa nadia nadine naoko natalia natasha nathalie nicola nicolas nicole niels
nikola nils nina noah noemi nora norbert oleg olga oliver olivia olivier olof omar ondrej oscar
oskar otto pablo paolo pascal patricia patrick paul paula pavel pawel pedro per pernille peter
petra philip philipp pia pierre pieter pilar pim piotr priscilla priya quentin rachel rafael
rainer raj ralf ralph ramon raquel rebecca renata renate rene ricardo riccardo richard rita rob
robert roberta roberto rodrigo roland roman rosa rosalie ruben rudolf ruth ryan sabine sakura
sam samuel sander sandra sanne santiago sara sarah sebastian sergey sergio shan shirin sigrid
silvana silvia simon simone siri sjoerd sofia sofie sonia sophie soren stanislav stefan stefanie
stella stephen steve sunita susan sven svetlana sylvie takeshi tamara tanja tariq tatiana teodor
teresa thea theo theresa therese thijs thomas thorsten tiago tim timo tina tobias tom tomas
tomasz tuomas ulrich ulrike ursula uwe valentina valerie vanessa vera veronica veronika victor
viktor vincent vincenzo virginie vladimir volker walter wei werner willem william wim wojciech
wolfgang xavier xin yan yara yasmin ying yuki yusuf yvonne zainab zoe zofia zsofia zuzana
"""

GIVEN_NAMES: Final = frozenset(_TEXT.split())
